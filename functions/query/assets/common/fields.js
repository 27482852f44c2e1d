// A form control for each parameter of a query or command, as GET /queries describes them.

import { element } from "./dom.js";

// Returns the controls:
//   nodes             to be put into a form
//   values()          the values as text by name, a list for a list; left out: what is empty and need not be sent
//   showProblems(of)  shows each problem at its control, focuses the first, and returns those that are about none
export function fields(parameters, prefix) {
  const all = Object.entries(parameters).map(([name, rules]) => field(name, rules, `${prefix}-${name}`));
  return {
    nodes: all.map((each) => each.node),
    values: () => Object.fromEntries(all.map((each) => [each.name, each.value()]).filter(([, value]) => value !== undefined)),
    showProblems: (problems) => {
      // A problem names a parameter, or a column of the constraint that a command violates.
      const isAbout = (each, { parameter, field: column }) => each.name === (parameter ?? column);
      for (const each of all) each.show(problems.filter((problem) => isAbout(each, problem)));
      all.find((each) => problems.some((problem) => isAbout(each, problem)))?.focus();
      return problems.filter((problem) => !all.some((each) => isAbout(each, problem)));
    },
    // What was typed and is no value, such as half a date. The server never sees it.
    unreadable: () => all.filter((each) => each.isUnreadable()).map((each) => ({ parameter: each.name, detail: `${each.name} is not complete, or not ${each.kind}` })),
  };
}

// Whether a request needs the caller's token, because a parameter is a claim in it.
export const needsToken = (parameters) => Object.values(parameters).some(({ source }) => source !== undefined);

// Returns `values` as a query string, with its question mark, or "": in the form that AWS signs. Older versions of curl
// sign what they are given, so names are sorted, and a space is %20.
export function queryString(values) {
  const encoded = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  const pairs = Object.keys(values).sort().flatMap((name) => [values[name]].flat().map((value) => `${encoded(name)}=${encoded(value)}`));
  return pairs.length ? `?${pairs.join("&")}` : "";
}

// Returns `values` as the text of a JSON object. Numbers keep the digits that were typed.
export function jsonBody(values, parameters) {
  const pairs = Object.entries(values).map(([name, value]) => {
    const write = (text) => literal(text, parameters[name].type) ?? JSON.stringify(text);
    return `${JSON.stringify(name)}: ${Array.isArray(value) ? `[${value.map(write).join(", ")}]` : write(value)}`;
  });
  return `{${pairs.join(", ")}}`;
}

// Returns the text of a JSON number or boolean, or undefined. JSON has no leading zeros, and none are left out before a point.
function literal(text, type) {
  const scalar = type.replace("[]", "");
  if (scalar === "boolean") return text === "true" || text === "false" ? text : undefined;
  if (scalar !== "integer" && scalar !== "number") return undefined;
  const number = text.replace(/^(-?)0+(?=\d)/, "$1").replace(/^(-?)\./, "$10.");
  return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(number) ? number : undefined;
}

// What the caller's token has is no input: nothing is sent, and nothing is wrong with it here.
function ofToken(name, rules) {
  const hint = element("small", { textContent: [rules.description, `the ${rules.source.replace(":", " ")} of the bearer token`].filter(Boolean).join("; ") });
  const nothing = () => undefined;
  return { name, node: element("div", { className: "field" }, element("strong", { textContent: name }), hint), value: nothing, isUnreadable: () => false, focus: nothing, show: nothing };
}

function field(name, rules, id) {
  if (rules.source !== undefined) return ofToken(name, rules);
  const scalar = rules.type.replace("[]", "");
  const isList = rules.type.endsWith("[]");
  const initial = rules.default ?? rules.example ?? "";
  const control = isList && rules.values ? choices(rules, initial, id) : isList ? lines(initial) : single(scalar, rules, initial);
  const hint = element("small", { id: `${id}-hint`, textContent: hintOf(rules, scalar, isList) });
  const problem = element("p", { id: `${id}-problem`, className: "problem", hidden: true });
  const target = control.node;
  target.id = id;
  target.setAttribute("aria-describedby", `${hint.id} ${problem.id}`);
  const label = control.isGroup ? element("legend", { textContent: name }) : element("label", { for: id, textContent: name });
  const node = control.isGroup ? target : element("div", { className: "field" }, label, hint, target, problem);
  if (control.isGroup) {
    target.prepend(label, hint);
    target.append(problem);
  }
  return {
    name, node, kind: scalar === "integer" ? "a whole number" : `a ${scalar}`,
    value: () => {
      const value = control.value();
      // An empty text is a value. It is sent if there must be one.
      return value.length === 0 && !(scalar === "text" && rules.required && !isList) ? undefined : value;
    },
    isUnreadable: () => Boolean(target.validity?.badInput),
    focus: () => (control.isGroup ? target.querySelector("input") : target).focus(),
    show: (problems) => {
      problem.textContent = problems.map(({ detail }) => detail).join("; ");
      problem.hidden = problems.length === 0;
      if (control.isGroup) return;
      if (problems.length) target.setAttribute("aria-invalid", "true");
      else target.removeAttribute("aria-invalid");
    },
  };
}

function single(scalar, rules, initial) {
  if (rules.values || scalar === "boolean") {
    const offered = [...(rules.required ? [] : [""]), ...(rules.values ?? ["true", "false"])];
    const select = element("select", {}, ...offered.map((value) => element("option", { value, textContent: value || "(none)" })));
    select.value = String(initial);
    if (select.selectedIndex < 0) select.selectedIndex = 0;
    return { node: select, value: () => select.value };
  }
  const types = { integer: "number", number: "number", date: "date", timestamp: "datetime-local" };
  const input = element("input", { type: types[scalar] ?? "text", required: Boolean(rules.required), autocomplete: "off" });
  if (scalar === "integer") input.step = "1";
  if (scalar === "number") input.step = "any";
  if (scalar === "timestamp") input.step = "1";
  const local = (value) => (scalar === "timestamp" ? String(value).replace("Z", "") : String(value));
  if (rules.min !== undefined) input.min = local(rules.min);
  if (rules.max !== undefined) input.max = local(rules.max);
  if (rules.max_length !== undefined) input.maxLength = rules.max_length;
  if (rules.min_length !== undefined) input.minLength = rules.min_length;
  if (rules.pattern !== undefined && isBrowserPattern(rules.pattern)) input.pattern = rules.pattern;
  input.value = local(initial);
  return { node: input, value: () => (scalar === "timestamp" && input.value ? `${input.value}Z` : input.value) };
}

// Patterns are checked by RE2, whose syntax is not quite that of browsers.
function isBrowserPattern(pattern) {
  try {
    return Boolean(new RegExp(pattern, "v"));
  } catch {
    return false;
  }
}

function choices(rules, initial, id) {
  const boxes = rules.values.map((value, number) => element("input", { type: "checkbox", value, id: `${id}-${number}`, checked: initial.includes(value) }));
  const labels = boxes.map((box) => element("label", { className: "choice", for: box.id }, box, box.value));
  const group = element("fieldset", { className: "field" }, element("div", { className: "choices" }, ...labels));
  return { node: group, isGroup: true, value: () => boxes.filter((box) => box.checked).map((box) => box.value) };
}

function lines(initial) {
  const area = element("textarea", { rows: 3, value: [initial].flat().join("\n"), autocomplete: "off" });
  return { node: area, value: () => area.value.split("\n").map((line) => line.trim()).filter(Boolean) };
}

function hintOf(rules, scalar, isList) {
  const { min, max, min_length: least, max_length: most } = rules;
  const unit = isList ? "values" : "characters";
  const range = (from, to) => (from !== undefined && to !== undefined ? `${from} to ${to}` : from !== undefined ? `${from} or more` : `${to} or less`);
  return [
    rules.description,
    isList && !rules.values ? "one value in each line" : undefined,
    scalar === "timestamp" ? "in UTC" : undefined,
    min !== undefined || max !== undefined ? range(min, max) : undefined,
    least !== undefined || most !== undefined ? `${range(least, most)} ${unit}` : undefined,
    rules.pattern !== undefined ? `must match ${rules.pattern}` : undefined,
    rules.required ? "required" : "optional",
  ].filter(Boolean).join("; ");
}
