// The two answers side by side: with the cache, and without it.

import { byId, svg } from "../common/dom.js";
import { duration, milliseconds } from "../common/numbers.js";

const began = new Map(); // by card, while it waits for its answer
const took = new Map(); // ms by card
let timer;

// Shows how long the card has been waiting, since a moment of performance.now().
export function startCard(id, since = performance.now()) {
  if (!began.has(id)) began.set(id, since);
  byId(id).setAttribute("aria-busy", "true");
  timer ??= setInterval(tick, 100);
}

// Shows the answer in the card. The bar of the slower card is the longest.
export function finishCard(id, call) {
  began.delete(id);
  if (began.size === 0) timer = clearInterval(timer);
  const card = byId(id);
  card.removeAttribute("aria-busy");
  card.className = `card ${call.kind}`;
  write(card, call.ms === undefined ? "–" : milliseconds(call.ms), wordsOf(call));
  took.set(id, call.ms);
  const most = Math.max(...[...took.values()].filter((ms) => ms !== undefined));
  for (const [each, ms] of took) drawBar(each, (ms ?? 0) / most);
}

// Empties the card.
export function resetCard(id) {
  began.delete(id);
  byId(id).removeAttribute("aria-busy");
  byId(id).className = "card";
  write(byId(id), "–", "not asked yet");
  took.delete(id);
  drawBar(id, 0);
}

function drawBar(id, share) {
  const bar = svg("svg", { height: 8, "aria-hidden": "true" }, svg("rect", { width: `${100 * share}%`, height: 8 }));
  byId(id).querySelector(".bar").replaceChildren(bar);
}

function wordsOf(call) {
  const isKept = !["miss", "bypass", "direct"].includes(call.kind); // the age of a load is the time that it took
  const age = isKept && call.ageS ? [`${call.ageS} s old`] : [];
  const browser = call.browserMs === undefined ? [] : [`${milliseconds(call.browserMs)} in the browser`];
  return [call.words, ...age, ...browser].join("; ");
}

function tick() {
  for (const [id, since] of began) {
    const waited = performance.now() - since;
    // An answer that comes at once should not flicker.
    if (waited > 150) write(byId(id), duration(waited), "waiting for PostgreSQL …");
  }
}

function write(card, time, words) {
  card.querySelector(".time").textContent = time;
  card.querySelector(".words").textContent = words;
}
