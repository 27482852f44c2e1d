// The answer as it was sent, and the tags that it depends on.

import { byId, element } from "../common/dom.js";
import { indented } from "../common/json_text.js";

const SHOWN_AT_MOST = 100_000; // characters

// Shows the body of `call`, or nothing.
export function showAnswer(call) {
  byId("body").hidden = call === undefined;
  byId("status").textContent = call === undefined ? "It appears here, as PostgreSQL wrote it." : [call.code || undefined, call.status].filter(Boolean).join("  ");
  byId("body").textContent = call === undefined ? "" : bodyOf(call);
}

function bodyOf(call) {
  const text = indented(call.text.slice(0, SHOWN_AT_MOST));
  const rest = call.text.length - SHOWN_AT_MOST;
  return rest > 0 ? `${text}\n… and ${rest.toLocaleString("en")} characters more` : text;
}

// Lists the tags of the answer to `query` with these values of its parameters.
export function showTags(query, values) {
  const tags = query.tags.map((tag) => tag.replace(/\{(\w+)\}/g, (written, name) => values[name] ?? written));
  byId("tags").hidden = tags.length === 0;
  byId("tags").replaceChildren("Depends on ", ...tags.flatMap((tag) => [element("code", { textContent: tag }), " "]));
}
