// The two answers side by side: with the cache, and without it.

import { byId } from "../common/dom.js";
import { duration, milliseconds } from "../common/numbers.js";

const began = new Map(); // by card, while it waits for its answer
let timer;

// Shows how long the card has been waiting.
export function startCard(id) {
  if (!began.has(id)) began.set(id, performance.now());
  byId(id).setAttribute("aria-busy", "true");
  timer ??= setInterval(tick, 100);
}

// Shows the answer in the card.
export function finishCard(id, call) {
  began.delete(id);
  if (began.size === 0) timer = clearInterval(timer);
  const card = byId(id);
  card.removeAttribute("aria-busy");
  card.className = `card ${call.kind}`;
  write(card, call.ms === undefined ? "–" : milliseconds(call.ms), ageOf(call));
}

// Empties the card.
export function resetCard(id) {
  began.delete(id);
  byId(id).removeAttribute("aria-busy");
  byId(id).className = "card";
  write(byId(id), "–", "not asked yet");
}

function ageOf(call) {
  return call.ageS ? `${call.words}; ${call.ageS} s old` : call.words;
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
