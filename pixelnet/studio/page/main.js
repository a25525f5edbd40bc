// The page: begins with what the server has, listens to what changes, and brings the parts together.
import { ask, json, listen, operate, waiting } from "./api.js";
import { center, clear, fit, patchLabels, setAnswer, setImage, setLabels, answer, readPixel, visible, zoomAt, view } from "./canvas.js";
import { makeImages } from "./images.js";
import { bind, sheet, table } from "./keys.js";
import { done, makePanel, openExport, suggest } from "./panel.js";
import { emit, on, readable, set, shown, state } from "./state.js";
import { cancel, close, held, press, step } from "./strokes.js";
import { makeTools } from "./tools.js";
import { unpack } from "./layers.js";

const get = (id) => document.getElementById(id);
let turn = Promise.resolve(); // labels come in the order in which they were asked for
let asking = false, newer = false;

async function begin() {
  const whole = await json("/api/project");
  const first = !state.folder;
  const chosen = whole.classes.some((own) => own.id === state.chosen) ? state.chosen : whole.classes[0]?.id ?? null;
  if (first) {
    const linked = Number(location.hash.slice(1)) - 1;
    state.number = linked >= 0 && linked < whole.images.filter((own) => own.number !== null).length ? linked : 0;
  }
  set({ folder: whole.folder, images: whole.images, channels: whole.channels, classes: whole.classes, counts: whole.counts, chosen, learner: whole.learner, export: whole.export });
  get("folder").textContent = whole.folder;
  if (first) await open(state.number);
  else { refreshLabels(); refreshAnswer(); }
}

async function open(number, place = null) {
  clear();
  cancel();
  set({ number });
  history.replaceState(null, "", `#${number + 1}`);
  if (place) center(place.x, place.y, Math.max(view.zoom, 3));
  else fit();
  look();
  refreshLabels();
  refreshAnswer();
  await refreshImage();
}

async function refreshImage() {
  const { number, channel } = state;
  try {
    const blob = await (await ask(`/api/images/${number}/pixels${channel === "" ? "" : `?channels=${channel}`}`)).blob();
    const bitmap = await createImageBitmap(blob);
    if (number === state.number && channel === state.channel) setImage(bitmap);
  } catch (error) { emit("refused", error.message); }
}

function refreshLabels(box = null) {
  const number = state.number, image = shown();
  if (!image) return;
  const [x, y, width, height] = box || [0, 0, image.width, image.height];
  turn = turn.then(async () => {
    const response = await ask(`/api/images/${number}/labels?x=${x}&y=${y}&width=${width}&height=${height}`);
    const found = new Uint8Array(await response.arrayBuffer());
    if (number !== state.number) return;
    if (box) patchLabels(found, box);
    else setLabels(found, image.width, image.height);
    set({ undo: Number(response.headers.get("x-undo")), redo: Number(response.headers.get("x-redo")) });
  }).catch(() => {});
}

async function refreshAnswer() {
  if (asking) { newer = true; return; }
  asking = true;
  do {
    newer = false;
    const number = state.number;
    try {
      const response = await ask(`/api/images/${number}/answer`);
      if (response.status === 200) {
        const found = unpack(await response.arrayBuffer()), shownNow = answer();
        const older = shownNow && (found.version < shownNow.version || (found.version === shownNow.version && found.step > shownNow.step && found.preview === shownNow.preview));
        if (number === state.number && !older) setAnswer(found);
      } else if (number === state.number) setAnswer(null);
    } catch { /* said elsewhere: the server is away */ }
  } while (newer);
  asking = false;
}

let looking = 0;
function look() {
  clearTimeout(looking);
  looking = setTimeout(() => { if (shown()) ask("/api/look", { image: state.number, ...visible() }).catch(() => {}); }, 60);
}
on("moved", look);

// -------------------------------------------------------------------------------------------- what is told

on("event", (event) => {
  const { type, image } = event;
  if (type === "labels") {
    changeImage(image, { state: event.state });
    if (image === state.number) refreshLabels(event.box);
    recount();
  } else if (type === "state") changeImage(image, { state: event.state, fault: event.fault || "" });
  else if (type === "classes") {
    const kept = event.classes.some((own) => own.id === state.chosen);
    set({ classes: event.classes, chosen: kept ? state.chosen : event.classes.at(-1)?.id ?? null });
    refreshLabels();
    recount();
  } else if (type === "answer" && image === state.number) refreshAnswer();
  else if (type === "learner") {
    set({ learner: event });
    if (!event.answers && answer()) setAnswer(null);
  } else if (type === "export") set({ export: event });
  else if (type === "fault") toast(event.words);
});

function changeImage(number, changes) {
  const image = state.images.find((own) => own.number === number);
  if (!image || image.state === changes.state) return;
  Object.assign(image, changes);
  set({ images: state.images });
}

let counting = 0;
function recount() {
  clearTimeout(counting);
  counting = setTimeout(async () => { try { set({ counts: (await json("/api/project")).counts }); } catch { /* away */ } }, 250);
}

on("operated", (answered) => { if (answered.type === "nothing") refreshLabels(); away(); });
on("refused", (words) => { toast(words); refreshLabels(); });
on("channel", refreshImage);
on("open", (found) => { set({ suggested: found }); open(found.image, found); });
on("hover", (at) => {
  const own = at && readPixel(at.x, at.y);
  const said = own?.said ? ` · ${own.said.name} ${Math.round(100 * own.sure)} %` : "";
  get("readout").textContent = own ? `${at.x}, ${at.y} · ${Math.round(100 * view.zoom)} %${own.label ? ` · labelled ${own.label.name}` : ""}${said}` : "";
});

let hiding = 0;
function toast(words) {
  const box = get("toast");
  box.textContent = words;
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { box.hidden = true; }, 7000);
}

function away() {
  const box = get("away"), count = waiting();
  box.hidden = !state.away;
  const strokes = count === 1 ? "1 change waits" : `${count} changes wait`;
  box.textContent = `The studio does not answer. Start it again where it ran${count ? `; ${strokes} here, and will be sent then` : ""}.`;
}
on("away", away);

// ------------------------------------------------------------------------------------------- what is asked

const go = (by) => {
  const number = state.number + by;
  if (number >= 0 && number < readable().length) open(number);
};
const back = (what) => operate(`/api/images/${state.number}/${what}`, {}).catch(() => {});
const undo = () => back("undo"), redo = () => back("redo");

function size(factor) {
  set({ radius: Math.min(200, Math.max(0.5, Math.round(state.radius * factor * 4) / 4 || 0.5)) });
}

const groups = table({
  choose: (place) => { const own = state.classes[place]; if (own) set({ chosen: own.id }); },
  size, undo, redo, close, cancel, step, press, turn: go, suggest, done, zoom: zoomAt, fit,
  export: openExport, help: () => get("help").showModal(),
});
bind(groups, held);
get("keys").replaceChildren(...sheet(groups));
get("help-button").onclick = () => get("help").showModal();
get("previous").onclick = () => go(-1);
get("next").onclick = () => go(1);
makeTools(get("tools"), [
  { name: "undo", words: "Undo", key: "z", act: undo, enabled: () => state.undo > 0 },
  { name: "redo", words: "Redo", key: "y", act: redo, enabled: () => state.redo > 0 },
  { name: "fit", words: "The whole image", key: "0", act: fit },
]);
makePanel();
makeImages((image) => {
  drawer("images", false);
  if (image.number === null) toast(image.fault);
  else open(image.number);
});

// The brush's slider goes by factors: from one pixel to four hundred across.
get("radius").oninput = () => set({ radius: Math.round(0.5 * 400 ** (get("radius").value / 100) * 4) / 4 });
function showRadius() {
  get("radius").value = (100 * Math.log(state.radius / 0.5)) / Math.log(400);
  get("radius-shown").textContent = `${Math.round(2 * state.radius * 2) / 2} px`;
}
on("radius", showRadius);
showRadius();

function drawer(name, open) {
  get(name).classList.toggle("open", open);
  get(`open-${name}`).setAttribute("aria-expanded", open);
}
for (const name of ["images", "panel"]) {
  get(`open-${name}`).onclick = () => {
    drawer(name === "images" ? "panel" : "images", false);
    drawer(name, !get(name).classList.contains("open"));
  };
}
get("view").addEventListener("pointerdown", () => { drawer("images", false); drawer("panel", false); });

listen(begin);
