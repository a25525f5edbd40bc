// The tools, and their bar.
import { state, set, on } from "./state.js";

export const TOOLS = [
  { name: "brush", key: "b", words: "Brush" },
  { name: "eraser", key: "e", words: "Eraser" },
  { name: "point", key: "p", words: "Point: one pixel" },
  { name: "polygon", key: "o", words: "Outline an area, from corner to corner" },
  { name: "fill", key: "f", words: "Accept this region as predicted" },
  { name: "accept", key: "a", words: "Accept all in a box as predicted" },
  { name: "pan", key: "h", words: "Move the image" },
];

export const icon = (name) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  use.setAttribute("href", `icons.svg#${name}`);
  svg.setAttribute("aria-hidden", "true");
  return svg;
};

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("aria-") || key === "role" || key.startsWith("data-")) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Let a list have an item for each of all, in their order. Those that are there stay, and so do the focus, and a click
 *  whose button is down. make(own): an item, which refresh(item, own) brings up to date. */
export function fill(list, all, name, make, refresh) {
  const kept = new Map([...list.children].map((item) => [item.dataset.name, item]));
  const items = all.map((own) => {
    const item = kept.get(String(name(own))) || make(own);
    item.dataset.name = name(own);
    refresh(item, own);
    return item;
  });
  if (items.length === list.children.length && items.every((item, k) => item === list.children[k])) return;
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  list.replaceChildren(...items);
  focused?.focus({ preventScroll: true });
}

/** A bar of the tools and of what `actions` do: { name, words, key, act, enabled }. */
export function makeTools(bar, actions) {
  const buttons = TOOLS.map((tool) => element("button", {
    "aria-label": tool.words, title: `${tool.words} (${tool.key})`, onclick: () => set({ tool: tool.name }),
  }, icon(tool.name)));
  const others = actions.map((own) => element("button", {
    "aria-label": own.words, title: `${own.words} (${own.key})`, onclick: own.act,
  }, icon(own.name)));
  bar.replaceChildren(...buttons, element("hr"), ...others);
  const show = () => {
    TOOLS.forEach((tool, k) => buttons[k].setAttribute("aria-pressed", tool.name === state.tool));
    actions.forEach((own, k) => { others[k].disabled = own.enabled ? !own.enabled() : false; });
    document.getElementById("brush").hidden = !["brush", "eraser"].includes(state.tool);
  };
  for (const name of ["tool", "undo", "redo"]) on(name, show);
  show();
}

/** One of several, as radio buttons beside each other. */
export function segments(group, name, choices) {
  group.replaceChildren(...choices.map(([value, words, title]) => element("label", { title },
    element("input", { type: "radio", name, value, onchange: () => set({ [name]: value }) }), words)));
  const show = () => group.querySelectorAll("input").forEach((own) => { own.checked = own.value === state[name]; });
  on(name, show);
  show();
}
