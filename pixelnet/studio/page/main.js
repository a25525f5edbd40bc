// The page: begins with what the server has, listens to what changes, and brings the parts together.
import { ask, complain, json, listen, open as openQueue, operate, sentence, waiting } from "./api.js";
import { answer, center, clear, covers, fit, isBlank, patchLabels, provisional, readPixel, setAnswer, setImage, setLabels, view, visible, zoomAt } from "./canvas.js";
import { isListed, makeImages } from "./images.js";
import { makeMeasure, openMeasure } from "./measure.js";
import { makeFinetune, openFinetune } from "./finetune.js";
import { bind, sheet, table } from "./keys.js";
import { front, toast } from "./notices.js";
import { choose, done, makePanel, openExport, suggest } from "./panel.js";
import { classOf, emit, on, readable, set, setClasses, shown, state } from "./state.js";
import { cancel, close, held, press, step } from "./strokes.js";
import { makeTools } from "./tools.js";
import { unpack } from "./layers.js";

const get = (id) => document.getElementById(id);
let turn = Promise.resolve(); // labels come in the order in which they were asked for
let asking = false, newer = false;

async function begin() {
  const whole = await json("/api/project");
  if (state.project && state.project !== whole.project) { // another folder at the same address
    location.reload();
    return;
  }
  openQueue(whole.project);
  const before = shown(), find = (call) => whole.images.find((own) => own.number !== null && own.state !== "broken" && call(own));
  const linked = Number(location.hash.slice(1)) - 1;
  const now = (before ? find((own) => own.path === before.path) : find((own) => own.number === linked)) || find(() => true);
  set({ project: whole.project, folder: whole.folder, images: whole.images, channels: whole.channels, counts: whole.counts, classesAt: 0, learner: whole.learner, export: whole.export, finetune: whole.finetune, survey: whole.survey });
  setClasses(whole.classes, whole.version, state.chosen ?? whole.classes[0]?.id);
  get("folder").textContent = whole.folder;
  if (!before && whole.notice) toast(sentence(whole.notice));
  if (!now) return;
  if (!before || now.number !== state.number || now.stamp !== before.stamp) open(now.number);
  else {
    look();
    refreshLabels();
    refreshAnswer();
    if (isBlank()) refreshImage();
  }
}

function open(number, place = null) {
  clear();
  cancel();
  set({ number, undo: 0, redo: 0 });
  emit("hover", null);
  history.replaceState(null, "", `#${number + 1}`);
  if (place) center(place.x, place.y, Math.max(view.zoom, 3));
  else fit();
  look();
  refreshLabels();
  refreshAnswer();
  refreshImage();
}

/** Of a large image the whole, coarsely, and what is on screen as finely as the screen shows it; else all of it. */
async function refreshImage() {
  const image = shown();
  if (!image) return;
  if (!image.large) return refreshPart({ x: 0, y: 0, width: image.width, height: image.height, step: 1 }, "whole");
  await refreshPart({ x: 0, y: 0, width: image.width, height: image.height, step: coarse(image) }, "whole");
  if (image.number === state.number) await refreshDetail();
}

const coarse = (image) => Math.ceil(Math.max(image.width, image.height) / 1024);

/** What is on screen of a large image, and some way around it, every few pixels. */
function part() {
  const image = shown(), seen = visible(), step = Math.max(1, Math.floor(1 / (view.zoom * view.ratio)));
  const [across, down] = [Math.ceil(seen.width / 8), Math.ceil(seen.height / 8)];
  const x = Math.max(0, seen.x - across), y = Math.max(0, seen.y - down);
  return { x, y, width: Math.min(image.width, seen.x + seen.width + across) - x, height: Math.min(image.height, seen.y + seen.height + down) - y, step };
}

async function refreshDetail() {
  const image = shown(), own = part();
  if (own.step < coarse(image)) return refreshPart(own, "detail");
  come.detail = ++asked.detail;
  setImage(null, null, "detail");
}

const asked = { whole: 0, detail: 0 }, come = { whole: 0, detail: 0 };

/** What was asked for later is shown, whichever comes first. */
async function refreshPart(own, what) {
  const { number, channel } = state, turn = ++asked[what], { stamp } = shown();
  try {
    const blob = await (await ask(`/api/images/${number}/pixels?${query(own)}&of=${stamp}${channel === "" ? "" : `&channels=${channel}`}`)).blob();
    const bitmap = await createImageBitmap(blob);
    if (number !== state.number || channel !== state.channel || turn < come[what]) return;
    come[what] = turn;
    setImage(bitmap, own, what);
  } catch (error) { if (number === state.number) complain(error); }
}

const query = (own) => Object.entries(own).map(([name, value]) => `${name}=${value}`).join("&");

function refreshLabels(box = null) {
  const number = state.number, image = shown();
  if (!image) return;
  const whole = { x: 0, y: 0, width: image.width, height: image.height, step: 1 };
  turn = turn.then(async () => {
    const [x, y, width, height] = box || [];
    const own = image.large ? part() : box ? { x, y, width, height, step: 1 } : whole;
    const response = await ask(`/api/images/${number}/labels?${query(own)}`);
    const found = new Uint8Array(await response.arrayBuffer());
    if (number !== state.number) return;
    if (box && !image.large) patchLabels(found, box);
    else setLabels(found, own);
    waiting().filter((one) => one.image === image.path && one.body.tool === "brush").forEach(({ body }) => provisional({ ...body, color: classOf(body.label)?.color }));
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
        const older = shownNow && covers(shownNow) && (found.version < shownNow.version || (found.version === shownNow.version && found.step > shownNow.step && found.preview === shownNow.preview));
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

let seeing = 0;
on("moved", () => {
  clearTimeout(seeing);
  if (shown()?.large) seeing = setTimeout(() => { refreshDetail(); refreshLabels(); }, 120);
});

// -------------------------------------------------------------------------------------------- what is told

on("event", (event) => {
  const { type, image } = event;
  if (type === "labels") {
    changeImage(image, { state: event.state });
    if (image === state.number) refreshLabels(event.box);
    recount();
  } else if (type === "state") changeImage(image, { state: event.state, fault: event.fault || "" });
  else if (type === "classes") {
    setClasses(event.classes, event.version);
    refreshLabels();
    recount();
  } else if (type === "answer" && image === state.number) refreshAnswer();
  else if (type === "learner") {
    set({ learner: event });
    if (!event.answers && answer()) setAnswer(null);
  } else if (type === "export" || type === "finetune" || type === "survey") {
    if (event.failed) toast(sentence(event.words));
    set({ [type]: event });
  }
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
  const mine = counting = setTimeout(async () => {
    try {
      const { counts } = await json("/api/project");
      if (mine === counting) set({ counts });
    } catch { /* said elsewhere: the server is away */ }
  }, 250);
}

on("operated", (answered) => {
  if (answered.type === "nothing") refreshLabels();
  if (answered.type === "labels" && answered.image === state.number) look(); // of several pages the one that is worked in is answered
  away();
});
addEventListener("focus", look);
on("refused", (words) => { toast(words); refreshLabels(); });
on("channel", refreshImage);
on("open", (found) => open(found.image, found));
on("hover", (at) => {
  const own = at && readPixel(at.x, at.y);
  const said = own?.said ? ` · ${own.said.name} ${Math.round(100 * own.sure)} %` : "";
  get("readout").textContent = own ? `${at.x}, ${at.y} · ${Math.round(100 * view.zoom)} %${own.label ? ` · labelled ${own.label.name}` : ""}${said}` : "";
});

function away() {
  const box = front("away"), count = waiting().length;
  box.hidden = !state.away;
  const strokes = count === 1 ? "1 change waits" : `${count} changes wait`;
  box.textContent = `The studio does not answer. Start it again where it ran${count ? `; ${strokes} here, and will be sent then` : ""}.`;
}
on("away", away);

// ------------------------------------------------------------------------------------------- what is asked

/** The next of the images that are listed, which those are that the filter lets through. */
const go = (by) => {
  const all = readable().filter((own) => own.number === state.number || isListed(own));
  const next = all[all.findIndex((own) => own.number === state.number) + by];
  if (next) open(next.number);
};
const back = (what) => { if (shown()) operate(`/api/images/{image}/${what}`, {}, shown()).catch(() => {}); };
const undo = () => back("undo"), redo = () => back("redo");

function size(factor) {
  set({ radius: Math.min(200, Math.max(0.5, Math.round(state.radius * factor * 4) / 4 || 0.5)) });
}

const groups = table({
  choose: (place) => { const own = state.classes[place]; if (own) choose(own.id); },
  size, undo, redo, close, cancel, step, press, turn: go, suggest, done, zoom: zoomAt, fit,
  export: openExport, finetune: openFinetune, measure: openMeasure, help: () => get("help").showModal(),
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
makeFinetune();
makeMeasure();
makeImages((image) => {
  drawer("images", false);
  if (image.number === null || image.state === "broken") toast(sentence(image.fault));
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
for (const name of ["images", "panel"]) {
  get(name).addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !get(name).classList.contains("open")) return;
    drawer(name, false);
    get(`open-${name}`).focus();
  });
}
for (const button of document.querySelectorAll("dialog .cancel")) button.onclick = () => button.closest("dialog").close();

listen(begin);
