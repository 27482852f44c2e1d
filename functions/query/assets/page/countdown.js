// How long the stored answer is fresh, counted down, and what the next request will get after that.

import { byId } from "../common/dom.js";
import { timeLeft } from "../common/numbers.js";

let timer;

// Counts down from the ttl of `call`, an answer to `query`. Without a call nothing is shown.
export function countDown(call, query) {
  clearInterval(timer);
  const bar = byId("left-bar");
  byId("left").hidden = call?.ttlS === undefined;
  if (call?.ttlS === undefined) return;
  bar.max = Math.max(query.ttl, 1);
  if (call.kind === "stale") return showOver("Past its time: one request refreshes it now. Ask again for the new answer.");
  const show = () => {
    const left = call.ttlS - Math.floor((performance.now() - call.received) / 1000);
    bar.value = Math.max(left, 0);
    byId("left-words").textContent = wordsOf(left, query);
    if (left <= -query.stale) clearInterval(timer);
  };
  show();
  timer = setInterval(show, 250);
}

// Says that the answer was taken out of the cache.
export function showTakenOut(words) {
  clearInterval(timer);
  showOver(`${words}: the next request asks PostgreSQL.`);
}

function showOver(words) {
  byId("left-bar").value = 0;
  byId("left-words").textContent = words;
}

function wordsOf(left, query) {
  if (left > 0) return `Fresh for ${timeLeft(left)} more.`;
  const stale = query.stale + left;
  if (stale > 0) return `Stale for ${timeLeft(Math.ceil(stale))} more: the next request gets it at once and refreshes it.`;
  return "Expired: the next request asks PostgreSQL.";
}
