// Parameters and rows as tables.

import { element } from "../common/dom.js";

// Returns a table that scrolls within itself where it is wider than the page. `label` is unique in the document.
export function table(label, head, rows) {
  return element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": label },
    element("table", {},
      element("thead", {}, element("tr", {}, ...head.map((textContent) => element("th", { scope: "col", textContent })))),
      element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell)))))));
}

export const code = (textContent) => element("code", { textContent });

// Returns the table of the parameters of a query or command, as GET /queries describes them.
export function parameterTable(name, parameters) {
  const rows = Object.entries(parameters).map(([parameter, rules]) => [code(parameter), typeOf(rules), rulesOf(rules), rules.description ?? ""]);
  return table(`Parameters of ${name}`, ["parameter", "type", "rules", "about"], rows);
}

function typeOf({ type }) {
  const scalar = type.replace("[]", "").replace("enum", "text");
  return type.endsWith("[]") ? `list of ${scalar}` : scalar;
}

function rulesOf(rules) {
  const { type, min, max, min_length: least, max_length: most, pattern, values, required, default: usual, source } = rules;
  const unit = type.endsWith("[]") ? "values" : "characters";
  return [
    source ? `the ${source.replace(":", " ")} of the bearer token; a request cannot choose it` : required ? "required" : usual === undefined ? "optional" : `default ${[usual].flat().join(", ")}`,
    limits(min, max, ""),
    limits(least, most, ` ${unit}`),
    pattern && `matches ${pattern}`,
    values && `one of ${values.join(", ")}`,
  ].filter(Boolean).join("; ");
}

function limits(from, to, unit) {
  if (from === undefined && to === undefined) return "";
  if (from === undefined) return `at most ${to}${unit}`;
  return to === undefined ? `at least ${from}${unit}` : `${from} to ${to}${unit}`;
}

// Returns the table of the columns: the type that PostgreSQL names, and that of the value in JSON.
export function columnTable(name, columns, schema) {
  const rows = columns.map((column) => [code(column.name), code(column.type), jsonType(schema.properties?.[column.name])]);
  return table(`Columns of ${name}`, ["column", "PostgreSQL", "JSON"], rows);
}

function jsonType(schema = {}) {
  if (schema.enum) return `one of ${schema.enum.map(String).join(", ")}`;
  const types = [schema.type ?? "anything"].flat();
  const words = { array: () => `list of ${jsonType(schema.items)}`, string: () => ["string", schema.pattern].filter(Boolean).join(" ") };
  const named = types.map((type) => words[type]?.() ?? type).join(" or ");
  return schema.format ? `${named} (${schema.format})` : named;
}
