// The page: asks a query with and without the cache, and shows what the cache gains.

import { send } from "../common/api.js";
import { howToBeAllowed, tokenField } from "../common/credentials.js";
import { byId, element } from "../common/dom.js";
import { fields, needsToken, queryString } from "../common/fields.js";
import { parsed } from "../common/json_text.js";
import { duration } from "../common/numbers.js";
import { showAnswer, showTags } from "./answer.js";
import { Account, callOf } from "./calls.js";
import { finishCard, resetCard, startCard } from "./cards.js";
import { draw } from "./chart.js";
import { countDown, showTakenOut } from "./countdown.js";
import { headlineOf } from "./headline.js";
import { forgetWrite, invalidate, offerWrites, showWrites } from "./write.js";

const TIMES = 20;

const account = new Account();
const waitingDirect = new Map(); // the paths that are being asked without the cache, each with its beginning
let catalogue = { data: [], commands: [], api: {} };
let form = fields({}, "parameter");
let shown; // the path whose answer is on the page
let last; // its last call through the cache
let sent = 0; // the number of requests through the cache
let isInSeries = false;
let isLoading = false;
let loaded; // a promise, see ready()

const chosen = () => catalogue.data.find(({ name }) => name === byId("query").value);

const pathOf = (query, values) => `/queries/${query.name}${queryString(values)}`;

// Whether the form still asks the question of `path`. The answer to another one is counted, and not shown.
const isAsked = (path) => path === pathOf(chosen(), form.values());

// Returns the question in the form: { query, values, path }. Returns undefined after showing what is wrong.
function question() {
  const query = chosen();
  if (query === undefined || reportProblems(form.unreadable())) return undefined;
  const values = form.values();
  return { query, values, path: pathOf(query, values) };
}

function reportProblems(problems) {
  const others = form.showProblems(problems);
  byId("form-problem").textContent = others.map(({ detail }) => detail).join("; ");
  byId("form-problem").hidden = others.length === 0;
  return problems.length > 0;
}

// Asks through the cache, and returns the call.
async function askCached({ query, values, path }) {
  if (isAsked(path)) {
    if (shown !== path) clear();
    shown = path;
    startCard("cached");
  }
  const number = ++sent;
  const response = await send(path);
  const call = { ...callOf(path, response), number };
  account.add(call);
  // An answer that was asked for earlier can arrive later.
  if (shown === path && !(last?.number > number)) {
    last = call;
    finishCard("cached", call);
    showHeadline();
    reportProblems(call.kind === "error" ? (call.problem.errors ?? [call.problem]) : []);
    // The answer to one request of several at once does not say how long it is fresh. Another of them has said it.
    if (call.kind !== "collapsed") countDown(call, query);
    showAnswer(call);
    showTags(query, values);
    byId("ask").textContent = "Ask again";
    showWrites({ query, values, path });
    if (!catalogue.api.direct) withoutDirect(path);
  }
  showAccount();
  return call;
}

// Asks without the cache, unless the same question is being asked so already.
async function askDirect({ query, values, path }) {
  if (!catalogue.api.direct) return;
  const isWaiting = waitingDirect.has(path);
  if (!isWaiting) waitingDirect.set(path, performance.now());
  startCard("direct", waitingDirect.get(path));
  if (isWaiting) return;
  const direct = `/queries/${query.name}/direct${queryString(values)}`;
  const call = callOf(path, await send(direct), direct);
  waitingDirect.delete(path);
  account.add(call);
  if (shown === path) {
    finishCard("direct", call);
    if (last !== undefined) showHeadline();
  }
  showAccount();
}

function showHeadline() {
  byId("headline").textContent = headlineOf(last, account.without(shown));
}

function withoutDirect(path) {
  const ms = account.without(path);
  finishCard("direct", { kind: "direct", ms, words: ms === undefined ? "not known yet: nothing was loaded" : "as long as the last load took" });
}

function ask() {
  const asked = question();
  if (asked === undefined) return undefined;
  const cached = askCached(asked);
  askDirect(asked);
  return cached;
}

// Runs `run` unless a series is running. No button is disabled meanwhile: a disabled button would lose the focus.
async function series(button, run) {
  await ready();
  const asked = question();
  if (asked === undefined || isInSeries) return;
  isInSeries = true;
  button.setAttribute("aria-disabled", "true");
  const began = performance.now();
  const calls = await run(asked);
  const count = (...kinds) => calls.filter((call) => kinds.includes(call.kind)).length;
  const parts = [
    [count("miss", "bypass"), count("miss", "bypass") === 1 ? "load of PostgreSQL" : "loads of PostgreSQL"],
    [count("collapsed"), "waited for a load"],
    [count("hit", "stale", "fallback"), "from the cache"],
    [count("error"), "without an answer"],
  ];
  const words = !isAsked(asked.path) ? undefined : parts.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`).join(", ");
  byId("series").textContent = words === undefined ? "" : `${calls.length} requests in ${duration(performance.now() - began)}: ${words}.`;
  button.removeAttribute("aria-disabled");
  isInSeries = false;
}

async function inTurn(asked) {
  const calls = [];
  while (calls.length < TIMES && isAsked(asked.path)) {
    byId("series").textContent = `${calls.length + 1} of ${TIMES}`;
    calls.push(await askCached(asked));
  }
  return calls;
}

function atOnce(asked) {
  byId("series").textContent = `${TIMES} requests are on their way. Over HTTP/1.1, as on your own machine, a browser sends six at a time.`;
  return Promise.all(Array.from({ length: TIMES }, () => askCached(asked)));
}

function showAccount() {
  byId("ratio").textContent = account.asked ? `${Math.round((100 * account.hits) / account.asked)} %` : "–";
  byId("saved").textContent = account.savedMs === undefined ? "–" : duration(account.savedMs);
  // Somebody refreshes a stale answer after it was sent. Whether it was this page, no response says.
  const loads = `${account.hasStale ? "at least " : ""}${account.loads} for ${account.asked} request${account.asked === 1 ? "" : "s"}`;
  byId("loads").textContent = account.asked ? loads : "–";
  draw(account.calls);
}

function clear() {
  shown = last = undefined;
  for (const id of ["cached", "direct"]) resetCard(id);
  byId("ask").textContent = "Ask";
  showHeadline();
  forgetWrite();
  countDown(undefined);
  showAnswer(undefined);
}

function showQuery() {
  const query = chosen();
  clear();
  byId("summary").textContent = query.summary;
  form = fields(query.parameters, "parameter");
  byId("parameters").replaceChildren(...form.nodes);
  byId("form-problem").hidden = true;
  byId("series").textContent = "";
  // An invalidation names the caller, whom this page does not know.
  byId("invalidate").hidden = catalogue.api.writes === "iam" || needsToken(query.parameters);
  showTags(query, form.values());
}

// With other values it is another question: the answer to the former one must not stand beside it.
function showValues() {
  const query = chosen();
  const values = form.values();
  if (shown !== pathOf(query, values)) clear();
  showTags(query, values);
}

async function takeOut() {
  const asked = question();
  if (asked === undefined) return;
  const { words, problem } = await invalidate(asked);
  if (problem) reportProblems([problem]);
  else showTakenOut(words);
}

// The first query that can be asked without filling in anything: one without parameters, if there is one.
function firstQuery(queries) {
  const isReady = ({ required, example, source }) => source === undefined && (!required || example !== undefined);
  return queries.find(({ parameters }) => Object.keys(parameters).length === 0)
    ?? queries.find(({ parameters }) => Object.values(parameters).every(isReady)) ?? queries[0];
}

async function loadCatalogue() {
  const response = await send("/queries");
  if (response.problem) {
    byId("headline").textContent = `The catalogue cannot be read: ${response.problem.detail}`;
    // A token that was refused can be corrected where it was entered.
    if (byId("token") === null || response.status !== 401) byId("credentials").replaceChildren(howToBeAllowed(response, load) ?? "");
    return;
  }
  catalogue = parsed(response.text);
  const { reads, writes } = catalogue.api;
  const wantsToken = [reads, writes].includes("jwt") || [...catalogue.data, ...catalogue.commands].some(({ parameters }) => needsToken(parameters));
  // A token that was entered already stays.
  if (byId("token") === null) byId("credentials").replaceChildren(wantsToken ? tokenField() : "");
  showHeadline();
  const errors = catalogue.errors ?? [];
  byId("catalogue-errors").replaceChildren(...errors.map(({ place, detail }) => element("li", { textContent: `${place}: ${detail}` })));
  const isEmpty = catalogue.data.length === 0;
  for (const id of ["stage", "calls", "answer", "write"]) byId(id).hidden = isEmpty;
  byId("empty").hidden = !isEmpty;
  if (isEmpty) return;
  byId("query").replaceChildren(...catalogue.data.map(({ name }) => element("option", { value: name, textContent: name })));
  byId("query").value = firstQuery(catalogue.data).name;
  offerWrites(catalogue, { question, isAsked, askCached });
  showQuery();
}

// The buttons are there before the catalogue. Returns when it is, or when the headline says why not.
async function ready() {
  if (catalogue.data.length === 0 && !isLoading) load();
  await loaded;
}

function load() {
  isLoading = true;
  loaded = loadCatalogue().finally(() => (isLoading = false));
}

byId("query").addEventListener("change", showQuery);
byId("parameters").addEventListener("input", showValues);
byId("invalidate").addEventListener("click", takeOut);
byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  await ready();
  ask();
});
byId("in-turn").addEventListener("click", (event) => series(event.currentTarget, inTurn));
byId("at-once").addEventListener("click", (event) => series(event.currentTarget, atOnce));
byId("logarithmic").addEventListener("change", () => draw(account.calls));
new ResizeObserver(() => draw(account.calls)).observe(byId("chart"));
load();
