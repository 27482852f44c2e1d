// Credentials for an API that is not open: a bearer token, or lines that are signed in a shell.

import { authorizeWith } from "./api.js";
import { element } from "./dom.js";

// Returns a field for the bearer token, which further requests carry. `onChange` is called when one was entered.
export function tokenField(onChange = () => {}) {
  const token = element("input", { id: "token", type: "password", autocomplete: "off", "aria-describedby": "token-hint" });
  token.addEventListener("input", () => authorizeWith(token.value));
  token.addEventListener("change", onChange);
  return element("div", { className: "panel" },
    element("label", { for: "token", textContent: "Bearer token" }),
    element("small", { id: "token-hint", textContent: "From the issuer that this API trusts. It stays in the memory of this page." }), token);
}

// Returns what to do when a document of the API is refused: API Gateway answers 401 where a token is missing, and 403
// where a signature is. `retry` is called when a token was entered.
export function howToBeAllowed({ status }, retry) {
  if (status === 401) return tokenField(retry);
  if (status !== 403) return undefined;
  return element("p", { className: "panel", textContent: "Requests to this API are signed with AWS credentials, or come with a bearer token that allows them. A page cannot sign: run curl with --aws-sigv4 in a shell instead." });
}
