// Writes: by a command of the API, by an invalidation, or by anybody with psql. Then the answer that changes.

import { send } from "../common/api.js";
import { byId, element } from "../common/dom.js";
import { fields, jsonBody } from "../common/fields.js";
import { indented } from "../common/json_text.js";
import { milliseconds } from "../common/numbers.js";
import { copyable, curl } from "../common/shell.js";

const WATCH_MS = 60_000;
const PAUSE_MS = 200;
const LINES_AT_MOST = 12;

let page; // see offerWrites
let catalogue;
let form;
let isBusy = false; // a write or a watch is running
let unanswered; // the last write that no response confirmed: { path, body, key }

// Fills the panel. `page` has question(), the one in the form; isAsked(path), whether it still is; and askCached(), which
// asks it.
export function offerWrites(listed, questions) {
  catalogue = listed;
  page = questions;
  const commands = catalogue.commands.map(({ name }) => element("option", { value: name, textContent: name }));
  byId("command").replaceChildren(...commands);
  byId("command-form").hidden = commands.length === 0;
  showCommand();
}

const chosen = () => catalogue.commands.find(({ name }) => name === byId("command").value);

function showCommand() {
  const command = chosen();
  if (command === undefined) return;
  byId("command-summary").textContent = command.summary;
  form = fields(command.parameters, "command-parameter");
  byId("command-parameters").replaceChildren(...form.nodes);
  showSigned();
}

// A browser has no AWS credentials. So, where writes are signed, the page shows the line to run in a shell.
function showSigned() {
  const command = chosen();
  if (catalogue.api.writes !== "iam" || command === undefined) return;
  const body = jsonBody(form.values(), command.parameters);
  byId("signed").replaceChildren(
    element("p", { textContent: "Writes to this API are signed with AWS credentials, which a page does not have. Run this line in a shell, and watch for the change here:" }),
    copyable(curl({ path: `/commands/${command.name}`, body, authorization: "iam", region: catalogue.api.region, method: "POST" }), "the signed request"));
  byId("run-command").hidden = true;
}

// Invalidates the answer to a question, and returns what to say about it.
export async function invalidate({ query, values }) {
  const body = `{"query": ${JSON.stringify(query.name)}, "params": ${jsonBody(values, query.parameters)}}`;
  const { ms, problem } = await send("/invalidations", { method: "POST", body });
  return problem ? { problem } : { words: `Invalidated in ${milliseconds(ms)}` };
}

// Forgets the last write: it was about another question.
export function forgetWrite() {
  steps([]);
  byId("elsewhere").hidden = true;
}

// Shows the line for psql that changes what the question depends on.
export async function showWrites(asked) {
  const touch = await touchOf(asked);
  if (!page.isAsked(asked.path)) return;
  byId("elsewhere").hidden = touch === undefined;
  if (touch !== undefined) byId("psql").replaceChildren(copyable(touch, "the statement"));
}

let described; // the OpenAPI document, fetched once

async function touchOf({ query, values }) {
  described ??= send("/openapi.json").then(({ problem, text }) => (problem ? {} : JSON.parse(text)));
  const touches = (await described).paths?.[`/queries/${query.name}`]?.get["x-cacheaside"].touches ?? {};
  const tag = query.tags.find((each) => each in touches);
  // The statement has the quotes of SQL around a placeholder that needs them.
  return touches[tag]?.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? "").replaceAll("'", "''"));
}

// Runs `run` with the question in the form, unless a write or a watch is running. The button keeps the focus.
async function alone(button, run) {
  const asked = page.question();
  if (asked === undefined || isBusy) return;
  isBusy = true;
  button.setAttribute("aria-disabled", "true");
  try {
    await run(asked);
  } finally {
    button.removeAttribute("aria-disabled");
    isBusy = false;
  }
}

// Sends a write, asks the question again, and shows the milliseconds between them.
async function write(asked, path, body) {
  steps(["Reading the answer as it is now …"]);
  const before = await send(asked.path);
  const began = performance.now();
  const response = await send(path, { method: "POST", body, headers: { "idempotency-key": keyOf(path, body) } });
  const committed = performance.now() - began;
  if (response.status === 0) response.problem.detail += " Write again: it is carried out once.";
  if (response.problem) return refuse(response.problem);
  unanswered = undefined;
  const done = response.headers.has("idempotency-replayed") ? "committed by an earlier request" : "committed";
  const note = JSON.parse(response.text).invalidation === "pending" ? `${done}; the cache will be told in a moment` : `${done}, and invalidated`;
  const call = await page.askCached(asked);
  const lines = ["0 ms: the write is sent", `${milliseconds(committed)}: ${note}`];
  if (page.isAsked(asked.path)) lines.push(`${milliseconds(performance.now() - began)}: ${arrived(before, call)}`);
  steps(lines);
  if (isAnswer(before) && call.kind !== "error" && page.isAsked(asked.path)) difference(before.text, call.text);
}

// Returns the Idempotency-Key of a write. It is the same when the same write is sent again without a response to the first.
function keyOf(path, body) {
  if (unanswered?.path !== path || unanswered.body !== body) unanswered = { path, body, key: crypto.getRandomValues(new Uint32Array(4)).join("-") };
  return unanswered.key;
}

// Whether the response is an answer of the query, or says that there is no such row.
const isAnswer = ({ headers }) => headers.has("cache-status");

function arrived(before, call) {
  if (call.kind === "error") return `the answer cannot be read: ${call.words}`;
  const isSame = call.code === before.status && call.etag === before.headers.get("etag");
  if (!isSame) return `${call.kind}: the new answer is here`;
  if (call.kind === "hit") return "the same answer, from the cache: it does not depend on what was written";
  return `${call.kind}: asked anew, and the answer is the same`;
}

function refuse({ title, detail, errors = [] }) {
  const isShown = form.showProblems(errors).length === 0 && errors.length > 0;
  byId("command-problem").textContent = isShown ? "" : `${title}. ${detail}`;
  byId("command-problem").hidden = isShown;
  steps([]);
}

// Asks again and again until the answer has left the cache. These requests are no part of the account.
async function watch(asked) {
  await send(asked.path); // so that there is an answer to be taken out
  let before = await send(asked.path);
  let seen = performance.now();
  const until = seen + WATCH_MS;
  steps(["Watching: run the statement in psql now …"]);
  let after = before;
  while (isAnswer(after) && !hasChanged(before, after)) {
    if (performance.now() > until) return steps([`The answer has not changed in ${WATCH_MS / 1000} s.`]);
    [before, seen] = [after, performance.now()];
    await new Promise((done) => setTimeout(done, PAUSE_MS));
    after = await send(asked.path);
    if (!page.isAsked(asked.path)) return undefined;
  }
  if (!isAnswer(after)) return steps([`Nothing can be watched: ${after.problem.title}. ${after.problem.detail}`]);
  steps([`The answer left the cache, and the new one is here: ${milliseconds(performance.now() - seen)} after the last old one.`]);
  difference(before.text, after.text);
  return page.askCached(asked);
}

function hasChanged(before, after) {
  if (after === before) return false;
  return after.headers.get("cache-status").includes("fwd=miss") || after.headers.get("etag") !== before.headers.get("etag");
}

function steps(lines) {
  byId("steps").replaceChildren(...lines.map((line) => element("li", { textContent: line })));
  byId("difference").hidden = true;
}

function difference(before, after) {
  const [old, now] = [before, after].map((text) => new Set(indented(text).split("\n")));
  const changed = [[old, now, "-"], [now, old, "+"]].flatMap(([lines, others, sign]) =>
    [...lines].filter((line) => !others.has(line)).slice(0, LINES_AT_MOST).map((line) => `${sign} ${line.trim()}`));
  byId("difference").textContent = changed.join("\n");
  byId("difference").hidden = changed.length === 0;
}

byId("command").addEventListener("change", showCommand);
byId("command-parameters").addEventListener("input", showSigned);
byId("command-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (catalogue.api.writes === "iam") return; // the Enter key sends a form whose button is hidden
  byId("command-problem").hidden = true;
  const unreadable = form.unreadable();
  form.showProblems(unreadable);
  if (unreadable.length > 0) return;
  const { name, parameters } = chosen();
  alone(byId("run-command"), (asked) => write(asked, `/commands/${name}`, jsonBody(form.values(), parameters)));
});
byId("watch").addEventListener("click", (event) => alone(event.currentTarget, watch));
