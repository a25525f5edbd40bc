// The right side: classes, the learner, the view, taking it home.
import { complain, json, operate, sentence } from "./api.js";
import { classOf, emit, on, set, setClasses, shown, state } from "./state.js";
import { busy } from "./strokes.js";
import { element, fill, icon, segments } from "./tools.js";

const get = (id) => document.getElementById(id);

export function makePanel() {
  makeClasses();
  makeLearner();
  makeView();
  makeExport();
}

// ------------------------------------------------------------------------------------------------- classes

function makeClasses() {
  for (const name of ["classes", "chosen", "counts"]) on(name, showClasses);
  for (const name of ["classes", "chosen"]) on(name, showChips);
  get("add-class").onsubmit = async (event) => {
    event.preventDefault();
    const field = get("class-name"), name = field.value.trim();
    if (!name) return;
    field.value = ""; // at once: by the time the server answers, the next name may be half written
    try {
      const answer = await operate("/api/classes", { name });
      if (answer.classes) setClasses(answer.classes, answer.version, answer.classes.at(-1).id);
    } catch {
      if (!field.value) { field.value = name; field.select(); }
    }
  };
  makeClassDialog();
  showClasses();
}

/** Choose what is painted; with a tool that does not paint, the brush, too. */
export const choose = (id) => set({ chosen: id, ...(["brush", "point", "polygon"].includes(state.tool) ? {} : { tool: "brush" }) });

function showClasses() {
  fill(get("classes"), state.classes, (own) => own.id, ({ id }) => element("li", {},
    element("button", { className: "choose", onclick: () => choose(id) }, element("i"), element("span"), element("small"), element("kbd")),
    element("button", { className: "plain", title: "Rename, recolor, merge, delete", onclick: () => openClass(classOf(id)) }, icon("more"))),
  (item, own) => {
    const [button, more] = item.children, [swatch, name, count, key] = button.children, place = state.classes.indexOf(own) + 1;
    const labelled = state.counts[own.id] || 0;
    swatch.style.background = own.color;
    name.textContent = own.name;
    count.textContent = labelled.toLocaleString();
    key.textContent = place;
    key.hidden = place > 9;
    button.title = place > 9 ? `Paint ${own.name}` : `Paint ${own.name} (${place})`;
    button.setAttribute("aria-pressed", own.id === state.chosen);
    button.setAttribute("aria-label", `${own.name}, ${labelled} pixels labelled${place > 9 ? "" : `, key ${place}`}`);
    more.setAttribute("aria-label", `Change ${own.name}`);
  });
}

/** Where there is no room for the panel, the classes are at hand below the image. */
function showChips() {
  fill(get("chips"), state.classes, (own) => own.id, ({ id }) => element("button", { onclick: () => choose(id) }, element("i"), element("span")), (button, own) => {
    button.firstChild.style.background = own.color;
    button.lastChild.textContent = own.name;
    button.setAttribute("aria-pressed", own.id === state.chosen);
  });
}

let opened = null; // the class as it was when its dialog was opened

function openClass(own) {
  const dialog = get("class-dialog"), { elements } = dialog.querySelector("form");
  opened = { ...own };
  elements.name.value = own.name;
  elements.color.value = own.color;
  const others = state.classes.filter((other) => other.id !== own.id);
  elements.into.replaceChildren(element("option", { value: "" }, "no other class"), ...others.map((other) => element("option", { value: other.id }, other.name)));
  elements.into.disabled = !others.length;
  dialog.onclose = () => { opened = null; };
  showFate();
  dialog.showModal();
}

/** What the buttons are about to do. A class with labels is deleted by a second click. */
function showFate(sure = false) {
  const { elements } = get("class-dialog").querySelector("form"), count = state.counts[opened.id] || 0, many = `${count.toLocaleString()} labelled pixels`;
  const into = elements.into.selectedOptions[0];
  get("class-keep").textContent = into?.value ? "Merge" : "Keep";
  get("class-delete").textContent = sure ? "Delete them all" : "Delete";
  get("class-delete").dataset.sure = sure || count === 0 ? "yes" : "";
  get("class-note").textContent = into?.value ? `Its ${many} become ${into.textContent}. That cannot be undone.`
    : sure ? `Its ${many} are gone then, on all images. That cannot be undone.`
    : `${many[0].toUpperCase()}${many.slice(1)}.`;
}

function makeClassDialog() {
  const dialog = get("class-dialog"), form = dialog.querySelector("form");
  const drop = (into) => operate(`/api/classes/${opened.id}/drop`, { into }).catch(() => {});
  form.elements.into.onchange = () => showFate();
  get("class-delete").onclick = () => {
    if (!get("class-delete").dataset.sure) return showFate(true);
    drop(null);
    dialog.close();
  };
  form.onsubmit = () => {
    const { name, color, into } = form.elements, now = classOf(opened.id);
    if (into.value) return drop(Number(into.value));
    // What was not touched stays as it is by now: another page may have changed it.
    const kept = { name: name.value === opened.name ? now.name : name.value, color: color.value === opened.color ? now.color : color.value };
    if (kept.name !== now.name || kept.color !== now.color) operate(`/api/classes/${opened.id}`, kept).catch(() => {});
  };
  on("classes", () => {
    if (!opened || classOf(opened.id)) return;
    emit("refused", `${opened.name} is gone: another page has deleted or merged it.`);
    dialog.close();
  });
}

// ------------------------------------------------------------------------------------------------- learner

function makeLearner() {
  on("learner", showLearner);
  on("images", showDone);
  on("number", showDone);
  get("suggest").onclick = suggest;
  get("done").onclick = done;
}

function showLearner() {
  const own = state.learner, words = sentence(own.words || "looking at the image");
  get("learner-words").textContent = words.slice(0, -1);
  get("learner").className = own.busy ? "busy" : own.answers ? "ready" : "";
  const score = own.score || {};
  get("score").hidden = score.value == null;
  if (score.value != null) {
    const [low, high] = score.interval;
    get("score-value").textContent = `${Math.round(100 * score.value)} %`;
    get("score-range").textContent = `${Math.round(100 * low)} to ${Math.round(100 * high)} % of labels held back`;
    Object.assign(get("score-interval").style, { left: `${100 * low}%`, width: `${Math.max(1, 100 * (high - low))}%` });
    get("score-mark").style.left = `${100 * score.value}%`;
  }
  get("score-words").textContent = sentence(score.words) || (own.answers ? "How good it is follows when you pause." : "");
  const hint = get("hint");
  hint.hidden = !own.hint;
  hint.textContent = own.words ? words : "";
  get("suggest").disabled = !own.answers;
}

export function showDone() {
  const image = shown();
  get("done").setAttribute("aria-pressed", image?.state === "done");
}

/** Whether there is a model yet; says so if there is none. */
export function learnt() {
  if (!state.learner.answers) emit("refused", "There is no model yet. Paint a little of two classes first.");
  return Boolean(state.learner.answers);
}

let suggesting = false;

export async function suggest() {
  if (suggesting || !learnt()) return;
  suggesting = true;
  const { number } = state;
  try {
    const found = await json("/api/suggestion");
    set({ suggested: found });
    if (number === state.number && !busy()) emit("open", found); // else somebody went on meanwhile, and is left alone
  } catch (error) { complain(error); }
  suggesting = false;
}

export function done() {
  const image = shown();
  if (image) operate("/api/images/{image}/mark", { done: image.state !== "done" }, image).catch(() => {});
}

// ---------------------------------------------------------------------------------------------------- view

function makeView() {
  segments(get("modes"), "mode", [["fill", "Filled", "v"], ["outline", "Outlines", "v"], ["hide", "Hidden", "v"]]);
  segments(get("compare"), "compare", [["off", "Single", "k"], ["swipe", "Swipe", "k"], ["side", "Beside", "k"]]);
  for (const [id, name, scale] of [["opacity", "opacity", 100], ["brightness", "brightness", 100], ["contrast", "contrast", 100]]) {
    get(id).oninput = () => set({ [name]: get(id).value / scale });
    on(name, () => { get(id).value = Math.round(state[name] * scale); });
  }
  for (const [id, name] of [["confidence", "confidence"], ["labels-shown", "labelsShown"]]) {
    get(id).onchange = () => set({ [name]: get(id).checked });
    on(name, () => { get(id).checked = state[name]; });
  }
  on("channels", () => {
    const several = state.channels.length > 1;
    get("channels-row").hidden = !several;
    get("channels").replaceChildren(element("option", { value: "" }, "all"),
      ...state.channels.map((name, k) => element("option", { value: k }, name)));
  });
  get("channels").onchange = () => set({ channel: get("channels").value });
  makeSwipe();
}

function makeSwipe() {
  const bar = get("swipe"), box = get("view");
  const show = () => {
    bar.hidden = state.compare !== "swipe";
    bar.style.left = `${100 * state.swipe}%`;
    bar.setAttribute("aria-valuenow", Math.round(100 * state.swipe));
  };
  on("compare", show);
  on("swipe", show);
  bar.onpointerdown = (event) => bar.setPointerCapture(event.pointerId);
  bar.onpointermove = (event) => {
    const edge = box.getBoundingClientRect();
    if (event.buttons) set({ swipe: Math.min(1, Math.max(0, (event.clientX - edge.left) / edge.width)) });
  };
  bar.onkeydown = (event) => {
    const by = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
    if (by) { event.stopPropagation(); set({ swipe: Math.min(1, Math.max(0, state.swipe + by)) }); }
  };
}

// -------------------------------------------------------------------------------------------------- export

export function openExport() {
  if (state.export.running || !learnt()) return;
  const network = Boolean(state.learner.by_network);
  get("export-who").textContent = network ? "The model is the network that has learnt itself." : "The model is the fit, as it answers now.";
  get("export-dialog").showModal();
}

function makeExport() {
  for (const name of ["export", "learner"]) on(name, showExport);
  get("export").onclick = openExport;
  get("export-dialog").querySelector("form").onsubmit = async (event) => {
    const data = new FormData(event.target);
    try {
      await json("/api/export", { predictions: data.has("predictions"), polygons: data.getAll("polygons"), objects: data.has("objects"), onnx: data.has("onnx") });
    } catch (error) { complain(error); }
  };
  get("copy").onclick = async () => {
    try {
      await navigator.clipboard.writeText(state.export.command);
      get("copy").textContent = "Copied";
    } catch { getSelection().selectAllChildren(get("command")); }
    setTimeout(() => { get("copy").textContent = "Copy"; }, 1500);
  };
}

function showExport() {
  const own = state.export;
  get("export").disabled = Boolean(own.running) || !state.learner.answers;
  get("export-progress").hidden = !own.running;
  get("export-progress").value = own.done || 0;
  get("export-words").textContent = sentence(own.words);
  get("export-report").hidden = !own.folder || own.running;
  get("command-row").hidden = !own.command || own.running;
  get("command").textContent = own.command || "";
}

