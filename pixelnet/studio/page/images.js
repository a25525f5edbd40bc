// The list of images: thumbnails, states, a filter.
import { state, on, readable } from "./state.js";
import { element } from "./tools.js";

const list = document.getElementById("image-list");
const WORDS = { unlabelled: "unlabelled", labelled: "labelled", suggested: "suggested", done: "done", broken: "cannot be read" };

const stateOf = (image) => (state.suggested?.image === image.number && image.number !== null && image.state === "unlabelled" ? "suggested" : image.state);

/** open: is called with the number of an image that is chosen. */
export function makeImages(open) {
  const filter = document.getElementById("filter");
  filter.onchange = () => { state.filter = filter.value; show(open); };
  for (const name of ["images", "number", "suggested"]) on(name, () => show(open));
  show(open);
}

function show(open) {
  const found = state.images.filter((image) => !state.filter || stateOf(image) === state.filter);
  const kept = new Map([...list.children].map((item) => [item.dataset.path, item]));
  list.replaceChildren(...found.map((image) => refreshed(kept.get(image.path) || entry(image, open), image)));
  document.getElementById("no-images").hidden = found.length > 0;
  const current = state.images.find((image) => image.number === state.number);
  document.getElementById("image-name").textContent = current ? current.path : "";
  const place = readable().indexOf(current);
  document.getElementById("place").textContent = place < 0 ? "–" : `${place + 1} / ${readable().length}`;
  document.title = current ? `${current.path} – PixelNet studio` : "PixelNet studio";
}

function entry(image, open) {
  const broken = image.number === null;
  const none = () => element("span", { className: "none", "aria-hidden": "true" }, "!");
  const picture = broken ? none()
    : element("img", { src: `/api/images/${image.number}/thumbnail`, alt: "", loading: "lazy", width: 64, height: 48, onerror: (event) => event.target.replaceWith(none()) });
  const words = element("span", {}, element("b", {}, image.path), element("small", {}, element("i"), element("span")));
  const button = element("button", { title: broken ? image.fault : image.path, onclick: () => open(image) }, picture, words);
  return element("li", { "data-path": image.path }, button);
}

function refreshed(item, image) {
  const button = item.firstChild, now = stateOf(image);
  item.className = now;
  button.title = image.fault || image.path;
  button.querySelector("small span").textContent = WORDS[now];
  const current = image.number !== null && image.number === state.number;
  if (current && button.getAttribute("aria-current") !== "true") setTimeout(() => item.scrollIntoView({ block: "nearest" }));
  button.setAttribute("aria-current", current);
  return item;
}
