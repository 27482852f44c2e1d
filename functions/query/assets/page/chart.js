// The chart of the last calls: a mark for each, whose shape tells the kind, and its height the time.

import { byId, element, svg } from "../common/dom.js";
import { duration, milliseconds } from "../common/numbers.js";
import { KINDS } from "./calls.js";

const HEIGHT = 190;
const EDGE = { top: 12, right: 12, bottom: 10, left: 58 };
const SLOTS = 60;
const LEAST_MS = 0.1; // where the logarithmic scale begins

const SHAPES = {
  disc: () => svg("circle", { r: 4.5 }),
  ring: () => svg("circle", { r: 4, class: "hollow" }),
  square: () => svg("rect", { x: -4.5, y: -4.5, width: 9, height: 9 }),
  diamond: () => svg("path", { d: "M0-6 6 0 0 6-6 0Z" }),
  kite: () => svg("path", { d: "M0-6 6 0 0 6-6 0Z", class: "hollow" }),
  triangle: () => svg("path", { d: "M0-6 5.5 5-5.5 5Z" }),
  bar: () => svg("rect", { x: -6, y: -2, width: 12, height: 4 }),
  cross: () => svg("path", { d: "M-5-5 5 5M5-5-5 5", class: "hollow" }),
};

// Draws `calls` into the page. The marks are one stop of the Tab key: the arrow keys move between them.
export function draw(calls) {
  const holder = byId("chart");
  const focused = holder.contains(document.activeElement) ? calls.find((call) => call.mark === document.activeElement) : undefined;
  const width = Math.max(holder.clientWidth, 260);
  const isEmpty = calls.length === 0;
  const scale = byId("logarithmic").checked ? logarithmic(calls) : linear(calls);
  const x = (index) => EDGE.left + ((index + 0.5) * (width - EDGE.left - EDGE.right)) / SLOTS;
  const y = (ms) => HEIGHT - EDGE.bottom - scale.share(ms) * (HEIGHT - EDGE.top - EDGE.bottom);
  const lines = (isEmpty ? [0] : scale.ticks).flatMap((ms) => [
    svg("line", { class: "tick", x1: EDGE.left, x2: width - EDGE.right, y1: y(ms), y2: y(ms) }),
    svg("text", { class: "tick", x: EDGE.left - 8, y: y(ms) + 4, "text-anchor": "end" }, ms === 0 ? "0" : label(ms)),
  ]);
  const marks = calls.map((call, index) => mark(call, x(index + SLOTS - calls.length), y(call.ms), y(scale.ticks[0]), x(1) - x(0)));
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "group", "aria-label": "Time at the server of the last 60 calls, the newest on the right" }, ...lines, ...marks);
  picture.addEventListener("keydown", (event) => move(event, calls));
  holder.replaceChildren(picture);
  tabStop(calls, focused ?? calls.at(-1));
  focused?.mark.focus();
  legend(calls);
  table(calls);
}

function linear(calls) {
  const most = Math.max(1, ...calls.map((call) => call.ms));
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [0.2, 0.5, 1, 2, 5].map((each) => each * power).find((each) => most / each <= 5);
  const ticks = Array.from({ length: Math.ceil(most / step) + 1 }, (_, index) => index * step);
  return { ticks, share: (ms) => ms / ticks.at(-1) };
}

function logarithmic(calls) {
  const powers = Math.ceil(Math.log10(Math.max(10, ...calls.map((call) => call.ms)) / LEAST_MS));
  const ticks = Array.from({ length: powers + 1 }, (_, index) => LEAST_MS * 10 ** index);
  return { ticks, share: (ms) => Math.max(0, Math.log10(ms / LEAST_MS) / powers) };
}

const label = (ms) => (ms >= 1000 ? `${Number((ms / 1000).toPrecision(3))} s` : `${Number(ms.toPrecision(3))} ms`);

// `slot`: the width of the target, so that it does not cover that of the next mark.
function mark(call, x, y, base, slot) {
  const shape = svg("g", { transform: `translate(${x} ${y})` }, SHAPES[KINDS[call.kind].shape]());
  call.mark = svg("g", { class: `mark ${call.kind}`, role: "img", tabindex: -1, "aria-label": describe(call) },
    svg("rect", { class: "target", x: x - slot / 2, y: 0, width: slot, height: HEIGHT }), // easier to hit than the mark
    svg("line", { class: "stem", x1: x, x2: x, y1: base, y2: y }), shape);
  for (const event of ["focus", "pointerenter"]) call.mark.addEventListener(event, () => (byId("detail").textContent = describe(call)));
  return call.mark;
}

function describe(call) {
  const age = call.ageS === undefined ? "" : `, age ${call.ageS} s`;
  return `${call.at.toLocaleTimeString("en-GB")} ${KINDS[call.kind].name}: ${call.words}${age}. ${milliseconds(call.ms)} at the server, ${milliseconds(call.browserMs)} in the browser. ${call.sentTo}`;
}

function tabStop(calls, chosen) {
  for (const call of calls) call.mark.setAttribute("tabindex", call === chosen ? 0 : -1);
}

function move(event, calls) {
  const at = calls.findIndex((call) => call.mark === document.activeElement);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: calls.length - 1 }[event.key];
  if (calls[to] === undefined) return;
  event.preventDefault();
  tabStop(calls, calls[to]);
  calls[to].mark.focus();
}

function legend(calls) {
  const shown = Object.entries(KINDS).filter(([kind]) => calls.some((call) => call.kind === kind));
  byId("legend").replaceChildren(...shown.map(([kind, { name, shape }]) => {
    const picture = svg("svg", { viewBox: "-8 -8 16 16", width: 16, height: 16, class: kind, "aria-hidden": "true" }, SHAPES[shape]());
    return element("li", {}, picture, `${name} ${calls.filter((call) => call.kind === kind).length}`);
  }));
}

function table(calls) {
  byId("rows").replaceChildren(...calls.toReversed().map((call) => element("tr", {}, ...[
    call.at.toLocaleTimeString("en-GB"), call.sentTo, KINDS[call.kind].name, call.ageS === undefined ? "" : `${call.ageS} s`,
    milliseconds(call.ms), duration(call.browserMs),
  ].map((text) => element("td", { textContent: text })))));
}
