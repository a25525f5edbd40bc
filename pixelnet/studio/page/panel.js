// The right side: classes, the learner, the view, taking it home.
import { json, operate } from "./api.js";
import { emit, on, set, shown, state } from "./state.js";
import { element, icon, segments } from "./tools.js";

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
      const added = answer.classes?.at(-1);
      if (added) set({ classes: answer.classes, chosen: added.id });
    } catch {
      if (!field.value) { field.value = name; field.select(); }
    }
  };
  get("class-dialog").querySelector("form").onsubmit = keepClass;
  showClasses();
}

function showClasses() {
  get("classes").replaceChildren(...state.classes.map((own, k) => {
    const swatch = element("i");
    swatch.style.background = own.color;
    const count = state.counts[own.id] || 0;
    const label = `${own.name}, ${count} pixels labelled${k < 9 ? `, key ${k + 1}` : ""}`;
    return element("li", {},
      element("button", { className: "choose", "aria-pressed": own.id === state.chosen, "aria-label": label, title: k < 9 ? `Paint ${own.name} (${k + 1})` : `Paint ${own.name}`, onclick: () => set({ chosen: own.id, tool: state.tool === "pan" || state.tool === "eraser" ? "brush" : state.tool }) },
        swatch, element("span", {}, own.name), element("small", {}, count.toLocaleString()), k < 9 ? element("kbd", {}, String(k + 1)) : null),
      element("button", { className: "plain", "aria-label": `Change ${own.name}`, title: "Rename, recolor, merge, delete", onclick: () => openClass(own) }, icon("more")));
  }));
}

/** Where there is no room for the panel, the classes are at hand below the image. */
function showChips() {
  get("chips").replaceChildren(...state.classes.map((own) => {
    const swatch = element("i");
    swatch.style.background = own.color;
    return element("button", { "aria-pressed": own.id === state.chosen, onclick: () => set({ chosen: own.id }) }, swatch, own.name);
  }));
}

function openClass(own) {
  const dialog = get("class-dialog"), form = dialog.querySelector("form");
  form.dataset.id = own.id;
  form.elements.name.value = own.name;
  form.elements.color.value = own.color;
  const others = state.classes.filter((other) => other.id !== own.id);
  form.elements.into.replaceChildren(element("option", { value: "" }, "no other class"), ...others.map((other) => element("option", { value: other.id }, other.name)));
  get("class-note").textContent = `${(state.counts[own.id] || 0).toLocaleString()} labelled pixels. Deleting or merging a class cannot be undone.`;
  dialog.showModal();
}

async function keepClass(event) {
  const form = event.target, id = Number(form.dataset.id), how = event.submitter?.value;
  const into = form.elements.into.value;
  if (how === "delete") operate(`/api/classes/${id}/drop`, { into: null }).catch(() => {});
  else if (how === "keep" && into) operate(`/api/classes/${id}/drop`, { into: Number(into) }).catch(() => {});
  else if (how === "keep") operate(`/api/classes/${id}`, { name: form.elements.name.value, color: form.elements.color.value }).catch(() => {});
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
  const own = state.learner, words = own.words || "looking at the image";
  get("learner-words").textContent = words[0].toUpperCase() + words.slice(1);
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
  const said = score.words && score.words[0].toUpperCase() + score.words.slice(1);
  get("score-words").textContent = said || (own.answers ? "How good it is follows when you pause." : "");
  const hint = get("hint");
  hint.hidden = !own.hint;
  hint.textContent = own.words ? `${words[0].toUpperCase()}${words.slice(1)}.` : "";
  get("suggest").disabled = !own.answers;
}

export function showDone() {
  const image = shown();
  get("done").setAttribute("aria-pressed", image?.state === "done");
}

export async function suggest() {
  try {
    const found = await json("/api/suggestion");
    emit("open", found);
  } catch (error) { emit("refused", error.message); }
}

export function done() {
  const image = shown();
  if (image) operate(`/api/images/${image.number}/mark`, { done: image.state !== "done" }).catch(() => {});
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
  get("export-who").textContent = state.learner.by_network ? "The model is the network that has learnt itself." : "";
  get("export-dialog").showModal();
}

function makeExport() {
  on("export", showExport);
  get("export").onclick = openExport;
  get("export-dialog").querySelector("form").onsubmit = async (event) => {
    if (event.submitter?.value !== "go") return;
    const data = new FormData(event.target);
    try {
      set({ export: await json("/api/export", { predictions: data.has("predictions"), polygons: data.getAll("polygons"), objects: data.has("objects") }) });
    } catch (error) { emit("refused", error.message); }
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
  get("export").disabled = Boolean(own.running);
  get("export-progress").hidden = !own.running;
  get("export-progress").value = own.done || 0;
  get("export-words").textContent = own.words ? own.words[0].toUpperCase() + own.words.slice(1) : "";
  get("command-row").hidden = !own.command || own.running;
  get("command").textContent = own.command || "";
}

