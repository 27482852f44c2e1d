// The documentation, drawn from GET /openapi.json.

import { send } from "../common/api.js";
import { byId, element } from "../common/dom.js";

send("/openapi.json").then(({ text }) => {
  const { paths } = JSON.parse(text);
  byId("operations").append(...Object.keys(paths).map((path) => element("h2", { textContent: path })));
});
