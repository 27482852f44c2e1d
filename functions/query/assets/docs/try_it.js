// Try it: a form that sends the request, the response, and the same request as lines for a shell.

import { send } from "../common/api.js";
import { element } from "../common/dom.js";
import { indented } from "../common/json_text.js";
import { milliseconds } from "../common/numbers.js";
import { copyable, curl } from "../common/shell.js";
import { code, table } from "./tables.js";

// A browser gets slow with more text than this in one element.
const SHOWN_AT_MOST = 200_000;

// Returns the nodes for `operation`, whose controls `form` has. See forms.js.
export function tryIt({ id, authorization }, form, region) {
  const words = element("div", { role: "status" });
  const problem = element("p", { className: "problem", role: "alert", hidden: true });
  const details = element("div", { className: "response" });
  const button = element("button", { textContent: "Send" });
  const node = element("form", { noValidate: true }, element("div", { className: "fields" }, ...form.nodes), problem);
  // A browser has no AWS credentials, so it cannot sign.
  if (authorization === "iam") node.append(element("p", { className: "note", textContent: "This API takes requests signed with AWS credentials, which a page does not have. Run the line below in a shell: it follows the form." }));
  else node.append(element("div", { className: "buttons" }, button));

  const shell = shellLines(id, authorization, region);
  const follow = () => shell.show(form.read());
  node.addEventListener("input", follow);
  node.addEventListener("change", follow);
  follow();

  const refuse = ({ title, detail, errors = [] }) => {
    const isShown = form.showProblems(errors).length === 0 && errors.length > 0;
    problem.hidden = isShown;
    problem.textContent = isShown ? "" : `${title}. ${detail ?? ""}`;
  };
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (authorization === "iam" || button.getAttribute("aria-disabled")) return;
    problem.hidden = true;
    const unreadable = form.unreadable();
    form.showProblems(unreadable);
    if (unreadable.length > 0) return;
    button.setAttribute("aria-disabled", "true"); // and not `disabled`, which would take the focus away
    const request = form.read();
    const response = await send(request.path, request);
    button.removeAttribute("aria-disabled");
    words.replaceChildren(...statusOf(request, response));
    details.replaceChildren(...partsOf(id, response));
    if (response.problem) refuse(response.problem);
  });
  return [node, words, details, ...shell.nodes];
}

function statusOf({ method, path }, response) {
  const times = [
    response.serverMs === undefined ? undefined : `${milliseconds(response.serverMs)} at the server`,
    `${milliseconds(response.ms)} in the browser`,
  ].filter(Boolean);
  const status = response.headers.get("cache-status");
  return [
    element("p", {}, element("strong", { className: response.status < 400 && response.status ? "good" : "problem", textContent: response.status || "no answer" }), " to ", code(`${method} ${path}`)),
    element("p", { textContent: times.join(", ") }),
    status === null ? undefined : element("p", {}, code(`Cache-Status: ${status}`)),
  ].filter(Boolean);
}

function partsOf(id, { status, headers, text }) {
  if (!status) return [];
  const rows = [...headers].map(([name, value]) => [code(name), code(value)]);
  const isCut = text.length > SHOWN_AT_MOST;
  return [
    element("details", {}, element("summary", { textContent: `${rows.length} headers` }), table(`Response headers of ${id}`, ["header", "value"], rows)),
    isCut ? element("p", { className: "note", textContent: `The body has ${text.length.toLocaleString("en")} characters. This is its beginning.` }) : undefined,
    text ? block(`Response body of ${id}`, isCut ? text.slice(0, SHOWN_AT_MOST) : indented(text)) : undefined,
  ].filter(Boolean);
}

// Returns text that scrolls within itself. `label` is unique in the document.
export function block(label, textContent) {
  return element("pre", { tabIndex: 0, role: "region", "aria-label": label, textContent });
}

// The line that this API takes. Where it takes unsigned requests, also the signed line, for a deployment that does not.
function shellLines(id, authorization, region) {
  const kinds = authorization === "iam" ? ["iam"] : [authorization, "iam"];
  const made = kinds.map((kind) => {
    const title = kind === "iam" ? "curl, signed with AWS credentials (SigV4)" : "curl";
    return { kind, title, line: copyable("", `the ${title} line of ${id}`) };
  });
  return {
    nodes: made.flatMap(({ title, line }) => [element("p", { className: "label", textContent: title }), line]),
    show: (request) => {
      for (const { kind, line } of made) line.querySelector("code").textContent = curl({ ...request, authorization: kind, region });
    },
  };
}
