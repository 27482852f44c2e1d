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

let page; // question(), askCached() and isAsked() of the page
let catalogue;
let form;
let isWriting = false;
let watched; // the question that is watched for a change

// Fills the panel. `questions` has question(), the one in the form, askCached(), which asks it, and isAsked(), whether
// the form still has the question of a path.
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

// Forgets the last write, and watches no longer: another question is asked now.
export function forgetWrite() {
  watchFor(undefined);
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

let described; // the OpenAPI document, fetched once if it can be read

async function touchOf({ query, values }) {
  described ??= send("/openapi.json");
  const { problem, text } = await described;
  if (problem) described = undefined;
  const touches = (problem ? {} : JSON.parse(text)).paths?.[`/queries/${query.name}`]?.get["x-cacheaside"].touches ?? {};
  const tag = query.tags.find((each) => each in touches);
  // The statement has the quotes of SQL around a placeholder that needs them.
  return touches[tag]?.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? "").replaceAll("'", "''"));
}

// Sends a write, asks the question again, and shows the milliseconds between them.
async function write(path, body) {
  const asked = page.question();
  if (asked === undefined) return;
  watchFor(undefined);
  steps(["Reading the answer as it is now …"]);
  const before = await send(asked.path);
  const began = performance.now();
  const response = await send(path, { method: "POST", body });
  const committed = performance.now() - began;
  if (response.problem) return refuse(response.problem);
  const note = JSON.parse(response.text).invalidation === "pending" ? "committed; the cache will be told in a moment" : "committed, and invalidated";
  const lines = ["0 ms: the write is sent", `${milliseconds(committed)}: ${note}`];
  if (!page.isAsked(asked.path)) return steps(lines); // what is asked now was not asked before the write
  const call = await page.askCached(asked);
  if (!page.isAsked(asked.path)) return steps(lines);
  steps([...lines, `${milliseconds(performance.now() - began)}: ${arrived(before, call)}`]);
  if (call.kind !== "error" && failureOf(before) === undefined) difference(before.text, call.text);
}

// Returns what `response` is instead of an answer, or undefined. Each answer has Cache-Status, also "no such row".
function failureOf({ headers, problem }) {
  return headers.has("cache-status") ? undefined : (problem?.title ?? "No answer");
}

function arrived(before, call) {
  if (call.kind === "error") return `no answer: ${call.words}`;
  if (failureOf(before) !== undefined) return `${call.kind}: an answer is here. There was none before the write`;
  if (call.kind === "hit" && call.etag === before.headers.get("etag")) return "the same answer, from the cache: it does not depend on what was written";
  return call.etag === before.headers.get("etag") ? `${call.kind}: asked anew, and the answer is the same` : `${call.kind}: the new answer is here`;
}

function refuse(problem) {
  const own = (problem.errors ?? []).map(({ parameter, field, detail }) => ({ parameter: parameter ?? field, detail }));
  const others = form.showProblems(own);
  const isShown = own.length > 0 && others.length === 0;
  byId("command-problem").textContent = isShown ? "" : `${problem.title}. ${problem.detail}`;
  byId("command-problem").hidden = isShown;
  steps([]);
}

// Asks again and again until the answer has left the cache. These questions are no part of the account.
async function watch() {
  const asked = page.question();
  if (asked === undefined || watched !== undefined) return;
  watchFor(asked);
  await send(asked.path); // so that there is an answer to be taken out
  const began = performance.now();
  let before = await send(asked.path);
  let seen = performance.now();
  let after = before;
  if (watched === asked) steps(["Watching: run the statement in psql now …"]);
  while (watched === asked && failureOf(after) === undefined && performance.now() - began < WATCH_MS) {
    await new Promise((done) => setTimeout(done, PAUSE_MS));
    after = await send(asked.path);
    if (failureOf(after) !== undefined || after.headers.get("cache-status")?.includes("fwd=miss") || after.headers.get("etag") !== before.headers.get("etag")) break;
    [before, seen] = [after, performance.now()];
  }
  if (watched !== asked) return;
  watchFor(undefined);
  const waited = milliseconds(performance.now() - seen);
  const failure = failureOf(after);
  if (failure !== undefined) return steps([`${failure}: the page watches no longer.`]);
  if (after === before) steps([`Nothing was written in ${WATCH_MS / 1000} s.`]);
  else steps([`The answer left the cache, and the new one is here: ${waited} after the last old one.`]);
  difference(before.text, after.text);
  await page.askCached(asked);
}

// Marks `asked` as the question that is watched, or none. A watch ends when another question takes its place.
function watchFor(asked) {
  watched = asked;
  if (asked === undefined) byId("watch").removeAttribute("aria-disabled");
  else byId("watch").setAttribute("aria-disabled", "true");
}

function steps(lines) {
  byId("steps").replaceChildren(...lines.map((line) => element("li", { textContent: line })));
  byId("difference").hidden = true;
}

function difference(before, after) {
  const [old, now] = [before, after].map((text) => indented(text).split("\n"));
  const [isOld, isNow] = [new Set(old), new Set(now)]; // an answer can have many thousand lines
  const changed = [
    ...old.filter((line) => !isNow.has(line)).slice(0, LINES_AT_MOST).map((line) => `- ${line.trim()}`),
    ...now.filter((line) => !isOld.has(line)).slice(0, LINES_AT_MOST).map((line) => `+ ${line.trim()}`),
  ];
  byId("difference").textContent = changed.join("\n");
  byId("difference").hidden = changed.length === 0;
}

byId("command").addEventListener("change", showCommand);
for (const event of ["input", "change"]) byId("command-parameters").addEventListener(event, showSigned);
byId("command-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  // The Enter key submits a form whose button is hidden, and one whose write is under way.
  if (byId("run-command").hidden || isWriting) return;
  byId("command-problem").hidden = true;
  const unreadable = form.unreadable();
  form.showProblems(unreadable);
  if (unreadable.length > 0) return;
  isWriting = true;
  byId("run-command").setAttribute("aria-disabled", "true"); // and not `disabled`, which would take the focus away
  await write(`/commands/${chosen().name}`, jsonBody(form.values(), chosen().parameters));
  byId("run-command").removeAttribute("aria-disabled");
  isWriting = false;
});
byId("watch").addEventListener("click", watch);
