// The life of an answer in the cache, as a drawing and in words.
//
//   created          fresh until                          gone
//      ├───── ttl ───────┼────── stale ───────┼── on error ──┤

import { element, svg } from "../common/dom.js";

const UNITS = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1000, "s"], [1, "ms"]];
const BAR = { y: 20, height: 16 };

// Returns `seconds` exactly, in the largest units: 90 is 1 min 30 s.
export function exactTime(seconds) {
  let left = Math.round(seconds * 1000);
  const parts = UNITS.map(([size, unit]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return count ? `${count} ${unit}` : "";
  });
  return parts.filter(Boolean).join(" ") || "0 s";
}

// Returns the drawing and the list for a query, as GET /queries describes it.
export function policyOf(query) {
  const spans = [
    { name: "fresh", kind: "hit", seconds: query.ttl },
    { name: "stale", kind: "stale", seconds: query.stale },
    { name: "on error", kind: "error", seconds: query.stale_if_error - query.stale },
  ].filter(({ seconds }) => seconds > 0);
  const sentences = wordsOf(query);
  return element("div", { className: "policy" }, drawing(spans), element("ul", {}, ...sentences.map((textContent) => element("li", { textContent }))));
}

function wordsOf({ ttl, stale, stale_if_error: onError, negative_ttl: negative, client, timeout, returns }) {
  return [
    `Fresh for ${exactTime(ttl)}: the cache answers.`,
    stale > 0 ? `Stale for ${exactTime(stale)} more: the cache answers at once, and one request loads a new answer.` : "After that it is loaded again: there is no stale answer.",
    onError > stale ? `Until ${exactTime(ttl + onError)} the old answer is sent if PostgreSQL fails.` : undefined,
    returns === "one" && negative > 0 ? `"No such row" is kept for ${exactTime(negative)}.` : undefined,
    client > 0 ? `A browser may keep it for ${exactTime(client)}, where no invalidation reaches it.` : "A browser has to ask each time.",
    `PostgreSQL gets ${exactTime(timeout)} for a load.`,
  ].filter(Boolean);
}

// A span of ten minutes beside one of ten days would be invisible on a linear scale. So the drawing is not to scale: a
// longer span is drawn longer, and each border has its time.
function drawing(spans) {
  const weights = spans.map(({ seconds }) => 2 + Math.log10(1 + seconds));
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const label = spans.map(({ name, seconds }) => `${name} for ${exactTime(seconds)}`).join(", then ");
  const picture = svg("svg", { role: "img", "aria-label": `Timeline: ${label}`, width: "100%", height: 56 });
  let [x, seconds] = [0, 0];
  picture.append(mark(0, "0", "start"));
  spans.forEach((span, index) => {
    const width = (100 * weights[index]) / all;
    seconds += span.seconds;
    picture.append(
      svg("rect", { class: span.kind, x: `${x}%`, y: BAR.y, width: `${width}%`, height: BAR.height }),
      svg("text", { x: `${x + width / 2}%`, y: BAR.y - 6, "text-anchor": "middle" }, span.name));
    x += width;
    picture.append(mark(x, exactTime(seconds), index === spans.length - 1 ? "end" : "middle"));
  });
  return picture;
}

function mark(x, text, anchor) {
  return svg("text", { class: "time", x: `${x}%`, y: BAR.y + BAR.height + 14, "text-anchor": anchor }, text);
}
