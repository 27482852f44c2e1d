// JSON as text. JavaScript cannot hold every number (25.50, 2^53 + 1), so the text is indented and never parsed.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

// Returns the value of the JSON `text`. An integer that JavaScript cannot hold is a text with its digits.
export function parsed(text) {
  const isInexact = (value) => Number.isInteger(value) && !Number.isSafeInteger(value);
  return JSON.parse(text, (_, value, context) => (isInexact(value) ? (context?.source ?? value) : value));
}

// Returns the JSON `text` with a line for each member, and every value exactly as it was written.
export function indented(text) {
  let depth = 0;
  let result = "";
  let last = "";
  for (const [token] of text.matchAll(TOKEN)) {
    const closes = token === "}" || token === "]";
    if (closes) depth -= 1;
    const isEmpty = closes && (last === "{" || last === "[");
    if ((last === "{" || last === "[" || last === "," || closes) && !isEmpty) result += `\n${"  ".repeat(depth)}`;
    result += token === ":" ? ": " : token;
    if (token === "{" || token === "[") depth += 1;
    last = token;
  }
  return result;
}
