// The list of images: thumbnails, states, a filter.
import { state, on, readable } from "./state.js";
import { element, fill } from "./tools.js";

const list = document.getElementById("image-list");
const WORDS = { unlabelled: "unlabelled", labelled: "labelled", suggested: "suggested", done: "done", broken: "cannot be read" };

const stateOf = (image) => (state.suggested?.image === image.number && image.number !== null && image.state === "unlabelled" ? "suggested" : image.state);
const named = (path) => state.images.find((own) => own.path === path);
const isCurrent = (image) => image.number !== null && image.number === state.number;

/** Whether the filter lets an image through. */
export const isListed = (image) => !state.filter || stateOf(image) === state.filter;

/** open: is called with an image that is chosen. */
export function makeImages(open) {
  const filter = document.getElementById("filter");
  filter.onchange = () => { state.filter = filter.value; show(open); };
  for (const name of ["images", "number", "suggested"]) on(name, () => show(open));
  list.onkeydown = (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const items = [...list.children], next = by && items[items.indexOf(event.target.closest("li")) + by];
    if (!next) return;
    event.preventDefault();
    next.firstChild.focus();
  };
  show(open);
}

/** The list is one stop of the tab key, at the image that is shown; arrow keys go on from there. */
function show(open) {
  const found = state.images.filter(isListed);
  fill(list, found, (image) => `${image.path} ${image.number} ${image.stamp}`, (image) => entry(image, open), refresh);
  const first = list.querySelector("[aria-current=true]") || list.querySelector("button");
  for (const button of list.querySelectorAll("button")) button.tabIndex = button === first ? 0 : -1;
  document.getElementById("no-images").hidden = found.length > 0;
  const current = state.images.find(isCurrent);
  document.getElementById("image-name").textContent = current ? current.path : "";
  const place = readable().indexOf(current);
  document.getElementById("place").textContent = place < 0 ? "–" : `${place + 1} / ${readable().length}`;
  document.title = current ? `${current.path} – PixelNet studio` : "PixelNet studio";
}

function entry(image, open) {
  const broken = image.number === null;
  const none = () => element("span", { className: "none", "aria-hidden": "true" }, "!");
  const picture = broken ? none()
    : element("img", { src: `/api/images/${image.number}/thumbnail?of=${image.stamp}`, alt: "", loading: "lazy", width: 64, height: 48, onerror: (event) => event.target.replaceWith(none()) });
  const words = element("span", {}, element("b", {}, image.path), element("small", {}, element("i"), element("span")));
  return element("li", { "data-path": image.path }, element("button", { onclick: () => open(named(image.path)) }, picture, words));
}

function refresh(item, image) {
  const button = item.firstChild, now = stateOf(image), current = isCurrent(image);
  item.className = now;
  button.title = image.fault || image.path;
  button.querySelector("small span").textContent = WORDS[now];
  if (current && button.getAttribute("aria-current") !== "true") setTimeout(() => item.scrollIntoView({ block: "nearest" }));
  button.setAttribute("aria-current", current);
}
