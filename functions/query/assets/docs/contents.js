// The list of all sections. It stays open beside a wide page, and opens above a narrow one.

import { byId, element } from "../common/dom.js";

const FILTER_FROM = 12;

// Fills the list. `groups`: [title, [{ id, text }, …]], …
export function listContents(groups) {
  const wide = matchMedia("(min-width: 60rem)");
  const contents = byId("contents");
  const fit = () => (contents.open = wide.matches);
  wide.addEventListener("change", fit);
  fit();
  const items = groups.flatMap(([title, entries]) => [
    element("p", { className: "label", textContent: title }),
    element("ul", {}, ...entries.map(({ id, text }) => element("li", {}, element("a", { href: `#${id}`, textContent: text })))),
  ]);
  const many = groups.flatMap(([, entries]) => entries).length > FILTER_FROM;
  byId("entries").replaceChildren(...(many ? filterOf(items) : []), ...items);
  // Before the browser goes to the section: the list above it would move it.
  byId("entries").addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) contents.open = false;
  });
}

function filterOf(items) {
  const filter = element("input", { id: "filter", type: "search", autocomplete: "off" });
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const list of items.filter(({ tagName }) => tagName === "UL")) {
      for (const item of list.children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
      const isEmpty = [...list.children].every(({ hidden }) => hidden);
      list.hidden = isEmpty;
      list.previousElementSibling.hidden = isEmpty;
    }
  });
  return [element("label", { for: "filter", textContent: "Filter" }), filter];
}
