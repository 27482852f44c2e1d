// Requests to this API, and what its responses say about themselves.

let bearer = "";

// Sends `token` with each further request, if it is not empty. It is kept in the memory of this page only.
export function authorizeWith(token) {
  bearer = token.trim();
}

// Returns the response to a request. Never rejects: without a response, `status` is 0 and `problem` says why.
//   ms         how long the browser waited        serverMs  how long the function took, if it says so
//   headers    a Headers object                   text      the body, as it was sent
//   problem    of an error, its problem details: { title, detail, errors? }
export async function send(path, { method = "GET", body, headers: own = {} } = {}) {
  const headers = { ...own };
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const began = performance.now();
  try {
    // Without the browser's own cache, which would hide ours.
    const response = await fetch(path, { method, body, headers, cache: "no-store" });
    const text = await response.text();
    const ms = performance.now() - began;
    return { status: response.status, headers: response.headers, text, ms, serverMs: serverTime(response), problem: problemOf(response, text) };
  } catch (error) {
    const problem = { title: "The server cannot be reached", detail: `No response came: ${error.message}.` };
    return { status: 0, headers: new Headers(), text: "", ms: performance.now() - began, problem };
  }
}

function serverTime(response) {
  const total = /total;dur=([\d.]+)/.exec(response.headers.get("server-timing") ?? "");
  return total ? Number(total[1]) : undefined;
}

function problemOf(response, text) {
  if (response.status < 400) return undefined;
  try {
    const document = JSON.parse(text);
    // API Gateway's own errors have a message only.
    return { title: document.title ?? `Error ${response.status}`, detail: document.detail ?? document.message, errors: document.errors };
  } catch {
    return { title: `Error ${response.status}`, detail: text.slice(0, 200) };
  }
}
