"use strict";

const byId = (id) => document.getElementById(id);
const form = byId("form");
const select = byId("query");
const button = form.querySelector("button");
let queries = [];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

async function loadCatalogue() {
  const response = await fetch("/queries");
  const { data, errors = [] } = await response.json();
  queries = data;
  byId("catalogue-errors").replaceChildren(...errors.map(({ place, detail }) => element("li", { textContent: `${place}: ${detail}` })));
  form.hidden = queries.length === 0;
  byId("empty").hidden = queries.length > 0;
  if (queries.length === 0) return;
  select.replaceChildren(...queries.map((query) => element("option", { value: query.name, textContent: query.name })));
  showQuery();
}

function chosen() {
  return queries.find((query) => query.name === select.value);
}

function showQuery() {
  const query = chosen();
  byId("summary").textContent = `${query.summary} (fresh for ${query.ttl} s)`;
  byId("parameters").replaceChildren(...Object.entries(query.parameters).map(([name, rules]) => field(name, rules)));
}

function field(name, rules) {
  const suggested = rules.default ?? rules.example ?? "";
  const list = rules.type.endsWith("[]");
  const about = [rules.description, list ? "several: separate by commas" : null, rules.required ? "required" : null];
  const control = rules.values && !list
    ? element("select", { name }, ...["", ...rules.values].map((value) => element("option", { value, textContent: value })))
    : element("input", { name, type: { integer: "number", date: "date" }[rules.type] ?? "text", required: rules.required });
  if (rules.min !== undefined) control.min = rules.min;
  if (rules.max !== undefined) control.max = rules.max;
  control.value = Array.isArray(suggested) ? suggested.join(",") : suggested;
  control.dataset.list = list;
  return element("label", {}, name, element("small", { textContent: about.filter(Boolean).join("; ") }), control);
}

function address() {
  const given = new URLSearchParams();
  for (const control of byId("parameters").querySelectorAll("input, select")) {
    const values = control.dataset.list === "true" ? control.value.split(",") : [control.value];
    for (const value of values) if (value.trim() !== "") given.append(control.name, value.trim());
  }
  return `/queries/${select.value}${given.size ? `?${given}` : ""}`;
}

async function run(event) {
  event.preventDefault();
  button.disabled = true;
  button.textContent = "Running…";
  try {
    const began = performance.now();
    // Without the browser's cache, which would hide the cache that this page demonstrates.
    const response = await fetch(address(), { cache: "no-store" });
    const text = await response.text();
    show(response, text, performance.now() - began);
  } catch (error) {
    showFacts([["source", "no answer", "bad"], ["why", error.message, ""]], "", "");
  } finally {
    button.disabled = false;
    button.textContent = "Run";
  }
}

function show(response, text, browserMs) {
  const status = response.headers.get("cache-status") ?? "";
  const failed = response.status >= 400;
  const hit = status.includes("; hit");
  const mark = failed ? "bad" : hit ? "hit" : "miss";
  const source = failed ? `error ${response.status}` : hit ? "hit: the cache" : "miss: PostgreSQL";
  const total = /total;dur=([\d.]+)/.exec(response.headers.get("server-timing") ?? "");
  const serverMs = total ? Number(total[1]) : null;
  const age = response.headers.get("age");
  showFacts([
    ["source", source, mark],
    ["server time", serverMs === null ? "–" : milliseconds(serverMs), ""],
    ["age", age === null ? "–" : `${age} s`, ""],
    ["browser waited", milliseconds(browserMs), ""],
  ], status, pretty(text));
  if (serverMs !== null) addBar(select.value, serverMs, mark);
}

function showFacts(facts, status, body) {
  byId("facts").replaceChildren(...facts.map(([name, value, mark]) =>
    element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value, className: mark }))));
  byId("cache-status").textContent = status;
  byId("body").textContent = body;
  byId("result").hidden = false;
}

function addBar(name, ms, mark) {
  byId("runs").hidden = false;
  // 0.1 ms to 10 s, five powers of ten.
  const share = Math.min(1, Math.max(0.01, (Math.log10(ms) + 1) / 5));
  byId("bars").prepend(element("li", {}, element("span", { textContent: name }),
    element("meter", { min: 0, max: 1, value: share, className: mark, ariaLabel: `${name}, ${mark}` }),
    element("output", { textContent: milliseconds(ms) })));
}

function pretty(text) {
  try {
    // JavaScript cannot represent such long numbers exactly, so the text is shown as it was sent.
    return /\d{16}/.test(text) ? text : JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function milliseconds(ms) {
  return ms >= 100 ? `${Math.round(ms).toLocaleString("en")} ms` : `${ms.toPrecision(2)} ms`;
}

select.addEventListener("change", showQuery);
form.addEventListener("submit", run);
loadCatalogue().catch((error) => showFacts([["catalogue", error.message, "bad"]], "", ""));
