// The documentation, drawn from GET /openapi.json.

import { send } from "../common/api.js";
import { howToBeAllowed, tokenField } from "../common/credentials.js";
import { byId, element } from "../common/dom.js";
import { parsed } from "../common/json_text.js";
import { operationsOf } from "./api_document.js";
import { listContents } from "./contents.js";
import { operationSection } from "./operation.js";

const GROUPS = { queries: "Queries", commands: "Commands", operations: "Operations" };

async function show() {
  const response = await send("/openapi.json");
  const { text, problem } = response;
  if (problem) return refuse(response);
  try {
    draw(parsed(text));
  } catch (error) {
    // Such as while a deployment replaces the functions: the document may be that of another version.
    explain(`openapi.json is not what this page expects (${error.message}).`);
  }
}

function draw(api) {
  const { problems, errors = [] } = api["x-cacheaside"];
  const operations = operationsOf(api);
  const queries = operations.filter(({ group }) => group === "queries").map(({ about }) => about);
  const groups = Object.entries(GROUPS).map(([group, title]) => [title, operations.filter((operation) => operation.group === group)]).filter(([, members]) => members.length);
  byId("reference").replaceChildren(
    ...notices(operations, errors),
    ...groups.flatMap(([title, members]) => [element("h2", { textContent: title }), ...members.map((operation) => operationSection(api, operation, queries))]),
    element("h2", { textContent: "Problems" }),
    element("p", { className: "note", textContent: "Errors are application/problem+json (RFC 9457). The type of each leads here." }),
    ...problems.map(problemSection));
  listContents([
    ...groups.map(([title, members]) => [title, members.map(({ id, about, path }) => ({ id, text: about?.name ?? path }))]),
    ["Problems", problems.map(({ slug, status }) => ({ id: slug, text: `${status} ${slug}` }))],
  ]);
  // The section was not there when the browser looked for it.
  if (location.hash) location.replace(location.hash);
}

function notices(operations, errors) {
  const isEmpty = !operations.some(({ group }) => group === "queries" || group === "commands");
  return [
    errors.length ? element("div", { className: "panel problem", role: "alert" }, ...errors.map(({ place, detail }) => element("p", { textContent: `${place}: ${detail}` }))) : undefined,
    isEmpty && errors.length === 0 ? element("p", { className: "panel", textContent: "The catalogue has no query yet: put a .sql file into functions/catalogue/queries." }) : undefined,
    operations.some(({ authorization }) => authorization === "jwt") ? tokenField() : undefined,
  ].filter(Boolean);
}

function refuse(response) {
  const { title, detail = "" } = response.problem;
  const reason = `openapi.json cannot be read. ${title}. ${detail}`;
  // A token that was refused can be corrected where it was entered.
  if (response.status === 401 && byId("token") !== null) byId("reference").querySelector("[role=alert]").textContent = reason;
  else explain(reason, howToBeAllowed(response, show));
}

function problemSection({ slug, status, title, explanation }) {
  return element("section", { id: slug, className: "panel", "aria-labelledby": `${slug}--title` },
    element("h3", { id: `${slug}--title` }, element("a", { href: `#${slug}`, textContent: `${status} ${title}` })),
    element("p", { textContent: explanation }));
}

function explain(reason, help = "") {
  const again = element("button", { type: "button", textContent: "Try again" });
  again.addEventListener("click", show);
  byId("reference").replaceChildren(element("p", { className: "panel problem", role: "alert", textContent: reason }), help, again);
}

show();
