// The calls that this page has made, and the account of them.

// Where an answer came from: its name and shape in the chart, and what happened in words.
export const KINDS = {
  hit: { name: "hit", shape: "disc", words: "from the cache" },
  stale: { name: "stale", shape: "diamond", words: "from the cache, past its time; one request refreshes it now" },
  collapsed: { name: "collapsed", shape: "triangle", words: "waited for the load of another request" },
  miss: { name: "miss", shape: "square", words: "PostgreSQL was asked" },
  fallback: { name: "old answer", shape: "kite", words: "an old answer from the cache" },
  bypass: { name: "bypass", shape: "bar", words: "PostgreSQL was asked, because the cache did not answer" },
  direct: { name: "without cache", shape: "ring", words: "PostgreSQL was asked" },
  error: { name: "error", shape: "cross", words: "no answer" },
};

const KEPT = 60;

// Returns the call that `response` answered. Cache-Status (RFC 9211) says where the answer came from. `path` is that of
// the question, also where `sentTo` is its route without the cache.
export function callOf(path, response, sentTo = path) {
  const status = response.headers.get("cache-status") ?? "";
  const age = response.headers.get("age");
  const ttl = /; ttl=(-?\d+)/.exec(status);
  const kind = kindOf(status, /db;dur=/.test(response.headers.get("server-timing")));
  return {
    path, sentTo, kind, status,
    at: new Date(),
    received: performance.now(),
    code: response.status,
    text: response.text,
    problem: kind === "error" ? response.problem : undefined,
    words: wordsOf(kind, status, response),
    ms: response.serverMs ?? response.ms,
    browserMs: response.ms,
    ageS: age === null ? undefined : Number(age),
    ttlS: ttl ? Number(ttl[1]) : undefined,
    etag: response.headers.get("etag"),
  };
}

function kindOf(status, isLoaded) {
  if (status.includes("; hit")) return status.includes("; ttl=-") ? "stale" : "hit";
  if (status.includes("; collapsed")) return "collapsed";
  if (status.includes("; detail=stale-if-error")) return "fallback";
  // After its time to wait, a request sends what there is, or loads, as the query declares.
  if (status.includes("fwd=stale; detail=waited-out") && !isLoaded) return "fallback";
  if (status.includes("fwd=miss") || status.includes("fwd=stale")) return "miss";
  if (status.includes("fwd=bypass")) return "bypass";
  return status.includes("fwd=request") ? "direct" : "error";
}

function wordsOf(kind, status, response) {
  if (kind === "error") return response.problem?.title ?? KINDS.error.words;
  const stored = kind !== "miss" ? "" : status.includes("; stored") ? "; the answer is stored" : "; the answer is not stored";
  const expired = kind === "miss" && status.includes("fwd=stale") ? ", because the stored answer had expired" : "";
  const why = kind !== "fallback" ? "" : status.includes("waited-out") ? ", because the load of another request takes long" : ", because PostgreSQL failed";
  const missing = response.status === 404 ? ": there is no such row" : "";
  return `${KINDS[kind].words}${expired}${stored}${why}${missing}`;
}

// Keeps the last calls, and what all of them add up to.
export class Account {
  calls = [];
  asked = 0;
  loads = 0;
  hasStale = false;
  hits = 0;
  savedMs; // compared with the last load of the same question; undefined before there is one
  #withoutCache = new Map(); // by path: the ms of the last load
  #uncompared = new Map(); // by path: the ms of answers from the cache before there was a load

  // Adds a call.
  add({ text, ...call }) { // which can be large
    this.calls = [...this.calls, call].slice(-KEPT);
    // A bypass is no measure: it has waited for the cache.
    if (call.kind === "direct" || call.kind === "miss") this.#compare(call);
    if (call.kind === "direct" || call.kind === "error") return;
    this.asked += 1;
    if (call.kind === "miss" || call.kind === "bypass") this.loads += 1;
    this.hasStale ||= call.kind === "stale";
    if (call.kind !== "hit" && call.kind !== "stale") return;
    this.hits += 1;
    const without = this.without(call.path);
    if (without !== undefined) this.#save(without - call.ms);
    else this.#uncompared.set(call.path, [...(this.#uncompared.get(call.path) ?? []), call.ms]);
  }

  // Returns the ms that the last load of `path` took, or undefined.
  without(path) {
    return this.#withoutCache.get(path);
  }

  #compare({ path, ms }) {
    this.#withoutCache.set(path, ms);
    for (const each of this.#uncompared.get(path) ?? []) this.#save(ms - each);
    this.#uncompared.delete(path);
  }

  #save(ms) {
    this.savedMs = (this.savedMs ?? 0) + ms;
  }
}
