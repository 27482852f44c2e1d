// The form of each kind of operation. Each has
//   nodes            its controls
//   read()           the request of their values: { method, path, body?, headers? }
//   unreadable()     problems of what was typed and is no value
//   showProblems(of) shows each problem at its control, and returns those that are about none

import { element } from "../common/dom.js";
import { fields, jsonBody, queryString } from "../common/fields.js";

// Returns the form of `operation`. The form of an invalidation offers `queries`.
export function formOf(operation, queries) {
  if (operation.id === "invalidate") return invalidationForm(operation, queries);
  if (operation.group === "queries") return queryForm(operation);
  if (operation.group === "commands") return commandForm(operation);
  return { nodes: [], read: () => ({ method: operation.method, path: operation.path }), unreadable: () => [], showProblems: (problems) => problems };
}

function queryForm({ id, path, direct, hasHead, about }) {
  const controls = fields(about.parameters, id);
  const kinds = { GET: "GET", ...(hasHead && { HEAD: "HEAD: the headers alone" }), ...(direct && { direct: "GET, without the cache" }) };
  const kind = element("select", { id: `${id}--kind` }, ...Object.entries(kinds).map(([value, textContent]) => element("option", { value, textContent })));
  const read = () => ({
    method: kind.value === "HEAD" ? "HEAD" : "GET",
    path: `${kind.value === "direct" ? direct : path}${queryString(controls.values())}`,
  });
  return { ...controls, nodes: [...controls.nodes, labelled("Request", kind)], read };
}

function commandForm({ id, path, about }) {
  const controls = fields(about.parameters, id);
  const key = element("input", { id: `${id}--key`, autocomplete: "off", maxLength: 255 });
  const read = () => ({
    method: "POST",
    path,
    body: jsonBody(controls.values(), about.parameters),
    headers: key.value.trim() ? { "idempotency-key": key.value.trim() } : {},
  });
  return { ...controls, nodes: [...controls.nodes, labelled("Idempotency-Key", key, "optional: the same key repeats the same command safely for a day")], read };
}

// By tags, or by one query and its parameters.
function invalidationForm({ id, path }, queries) {
  const byTags = { tags: { type: "text[]", required: true, max_length: 100, description: "such as products:42", example: queries.flatMap(({ tags }) => tags).filter((tag) => !tag.includes("{")).slice(0, 1) } };
  const choice = element("select", { id: `${id}--choice` },
    element("option", { value: "", textContent: "by tags" }),
    ...queries.map(({ name }) => element("option", { value: name, textContent: `the answer of ${name}` })));
  const holder = element("div", { className: "fields" });
  let [parameters, controls] = [byTags, undefined];
  const offer = () => {
    parameters = choice.value ? named(queries.find(({ name }) => name === choice.value).parameters) : byTags;
    controls = fields(parameters, `${id}-${choice.value}`);
    holder.replaceChildren(...controls.nodes);
  };
  choice.addEventListener("change", offer);
  offer();
  const read = () => {
    const given = jsonBody(controls.values(), parameters);
    return { method: "POST", path, body: choice.value ? `{"query": ${JSON.stringify(choice.value)}, "params": ${given}}` : given };
  };
  return { nodes: [labelled("What", choice), holder], read, unreadable: () => controls.unreadable(), showProblems: (problems) => controls.showProblems(problems) };
}

// An operator names the caller whose answer is deleted.
function named(parameters) {
  return Object.fromEntries(Object.entries(parameters).map(([name, { source, ...rules }]) => [name, rules]));
}

function labelled(text, control, hint) {
  const about = hint && element("small", { id: `${control.id}-hint`, textContent: hint });
  if (about) control.setAttribute("aria-describedby", about.id);
  return element("div", { className: "field" }, element("label", { for: control.id, textContent: text }), about, control);
}
