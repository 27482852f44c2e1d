// Commands to copy into a shell.

import { element } from "./dom.js";

// Returns `text` as one word of a POSIX shell.
export const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

// Returns the `curl` command of a request. `authorization`: open, iam or jwt.
export function curl({ method = "GET", path, body, headers = {}, authorization = "open", region = "" }) {
  const parts = ["curl"];
  if (authorization === "iam") {
    parts.push(`--aws-sigv4 ${quoted(`aws:amz:${region || "REGION"}:execute-api`)}`);
    parts.push('--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"', '--header "x-amz-security-token: $AWS_SESSION_TOKEN"');
  }
  if (authorization === "jwt") parts.push('--header "authorization: Bearer $TOKEN"');
  for (const [name, value] of Object.entries(headers)) parts.push(`--header ${quoted(`${name}: ${value}`)}`);
  if (method === "HEAD") parts.push("--head");
  else if (method !== "GET" && body === undefined) parts.push(`--request ${method}`);
  if (body !== undefined) parts.push("--header 'content-type: application/json'", `--data-raw ${quoted(body)}`);
  return [...parts, quoted(new URL(path, location.href).href)].join(" ");
}

// Returns a line of code with a button that copies it.
export function copyable(text, about) {
  const code = element("code", { textContent: text, tabIndex: 0 });
  const button = element("button", { type: "button", className: "quiet", textContent: "Copy", "aria-label": `Copy ${about}` });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      // Without permission to write to the clipboard, the line is at least selected.
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return element("div", { className: "line" }, code, button);
}
