// The section of one operation.

import { element } from "../common/dom.js";
import { rowSchema } from "./api_document.js";
import { formOf } from "./forms.js";
import { policyOf } from "./policy.js";
import { code, columnTable, parameterTable, table } from "./tables.js";
import { block, tryIt } from "./try_it.js";

// Returns the section. `queries` are those that an invalidation can name.
export function operationSection(api, operation, queries) {
  const { id, method, path, summary, about, direct, authorization } = operation;
  const answer = operation.responses.find(({ status }) => status === "200").content?.["application/json"];
  const region = api["x-cacheaside"].region;
  return element("section", { id, className: "panel", "aria-labelledby": `${id}--title` },
    element("h3", { id: `${id}--title` }, element("a", { href: `#${id}` }, element("span", { className: `method ${method}`, textContent: method }), " ", code(path))),
    element("p", { textContent: `${summary}.` }),
    authorization === "open" ? undefined : element("p", { className: "note", textContent: AUTHORIZATIONS[authorization] }),
    direct && element("p", { className: "note" }, code(`GET ${direct}`), " asks PostgreSQL each time, and stores nothing."),
    ...part("How long an answer lives", about?.ttl === undefined ? undefined : policyOf(about)),
    ...part("What invalidates it", about?.tags && tagsOf(about)),
    ...part("Parameters", about && parametersOf(about)),
    ...part("Answer", ...(answer ? answerOf(api, about, id, answer) : [])),
    // What is no JSON is for browsers: a link is enough.
    ...part("Try it", ...(answer ? tryIt(operation, formOf(operation, queries), region) : [element("a", { href: path, textContent: `Open ${path}` })])),
    about?.sql && folded("SQL", block(`SQL of ${id}`, about.sql.trim())),
    folded("Responses", responseTable(api, id, operation.responses)));
}

const AUTHORIZATIONS = {
  iam: "Requests are signed with AWS credentials (SigV4) that allow execute-api:Invoke.",
  jwt: "Requests carry a bearer token of the issuer that this API trusts.",
};

function part(title, ...nodes) {
  const present = nodes.filter(Boolean);
  return present.length ? [element("h4", { textContent: title }), ...present] : [];
}

function folded(title, ...nodes) {
  return element("details", {}, element("summary", { textContent: title }), ...nodes);
}

function tagsOf({ tags }) {
  if (tags.length === 0) return element("p", { textContent: "Nothing but time: it has no tags." });
  return element("p", { className: "tags" }, "A committed write to ", ...tags.flatMap((tag, index) => [index ? ", " : "", code(tag)]), ".");
}

function parametersOf({ name, parameters }) {
  return Object.keys(parameters).length ? parameterTable(name, parameters) : element("p", { textContent: "None." });
}

function answerOf(api, about, id, answer) {
  const example = answer.example && block(`Example answer of ${id}`, JSON.stringify(answer.example, null, 2));
  if (about === undefined) return [example];
  const { name, returns, columns } = about;
  return [
    element("p", { textContent: returns === "one" ? "One row, or 404." : "Rows." }),
    columns ? columnTable(name, columns, rowSchema(api, answer)) : element("p", { className: "note", textContent: "PostgreSQL has not described its columns yet." }),
    example && folded("Example answer", example),
  ];
}

// Each problem is explained once, in a section of its own, which the problem documents link to.
function responseTable(api, id, responses) {
  const titles = new Map(api["x-cacheaside"].problems.map(({ slug, title }) => [slug, title]));
  const rows = responses.map(({ status, description, headers = {}, content = {} }) => {
    const slugs = Object.keys(content["application/problem+json"]?.examples ?? {});
    const links = slugs.map((slug) => element("li", {}, element("a", { href: `#${slug}`, textContent: titles.get(slug) })));
    return [code(status), links.length ? element("ul", {}, ...links) : description, Object.keys(headers).join(", ")];
  });
  return table(`Responses of ${id}`, ["status", "meaning", "headers"], rows);
}
