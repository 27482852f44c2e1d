// The headline: what the last call shows, in words and numbers.

import { duration, milliseconds, times } from "../common/numbers.js";

// Returns the headline for the last `call` to the cached route, if there was one. `without` is the ms of the same question without cache.
export function headlineOf(call, without) {
  if (call === undefined) return "Ask PostgreSQL a slow question. Then ask again.";
  switch (call.kind) {
    case "hit": return compared(call.code === 404 ? "No such row, " : "", call, without);
    case "stale": return compared("Old answer at once, refreshed afterwards: ", call, without);
    case "miss": return call.status.includes("; stored")
      ? `${duration(call.ms)}: PostgreSQL was asked, and the answer is stored. Ask again.`
      : `${duration(call.ms)}: PostgreSQL was asked. The answer could not be stored.`;
    case "collapsed": return `${duration(call.ms)}: one load of PostgreSQL has answered several requests.`;
    case "bypass": return `${duration(call.ms)}: the cache does not answer, so PostgreSQL was asked.`;
    case "fallback": return `${duration(call.ms)}: ${call.words}.`;
    default: return `No answer: ${call.words}.`;
  }
}

function compared(prefix, call, without) {
  if (without === undefined) return `${prefix}${milliseconds(call.ms)} from the cache.`;
  const ratio = without / call.ms;
  const instead = `${milliseconds(call.ms)} instead of ${milliseconds(without)}`;
  if (ratio < 1.05) return `${prefix}No gain: ${instead}. This query is as fast as the cache.`;
  return `${prefix}${times(ratio)} times faster: ${instead}; ${duration(without - call.ms)} saved.`;
}
