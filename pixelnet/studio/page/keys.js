// Keys: one table, from which the help sheet is made, too.
import { state, set } from "./state.js";
import { element, TOOLS } from "./tools.js";

const named = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", " ": "Space", PageUp: "Page up", PageDown: "Page down", Escape: "Esc" };
const cycle = (name, values) => () => set({ [name]: values[(values.indexOf(state[name]) + 1) % values.length] });

/** The table: of each group [keys, what they do, act(event)]; `on` are the page's own actions. */
export function table(on) {
  const arrows = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  return {
    Tools: TOOLS.map((tool) => [[tool.key], tool.words, () => set({ tool: tool.name })]),
    Painting: [
      [["1", "9"], "Choose a class, by its place", (event) => on.choose(Number(event.key) - 1)],
      [["["], "Smaller brush", () => on.size(1 / 1.25)],
      [["]"], "Larger brush", () => on.size(1.25)],
      [["z", "Ctrl+z"], "Undo", on.undo],
      [["y", "Ctrl+y", "Ctrl+Shift+z"], "Redo", on.redo],
      [["Shift+Enter"], "Close the outline", on.close],
      [["Escape"], "Leave the stroke or outline", on.cancel],
      [Object.keys(arrows), "Move the cross, with Shift by ten", (event) => on.step(...arrows[event.key].map((own) => own * (event.shiftKey ? 10 : 1)))],
      [["Enter"], "Begin and end a stroke at the cross", on.press],
    ],
    Images: [
      [["PageDown", "n"], "Next image", () => on.turn(1)],
      [["PageUp", "m"], "Previous image", () => on.turn(-1)],
      [["s"], "Go where the answer is in doubt", on.suggest],
      [["d"], "This image is done", on.done],
    ],
    Model: [
      [["t"], "Let the network itself learn", on.finetune],
      [["g"], "Measure how good it is", on.measure],
      [["x"], "Export", on.export],
    ],
    View: [
      [["+", "="], "Larger", () => on.zoom(1.25)],
      [["-"], "Smaller", () => on.zoom(1 / 1.25)],
      [["0"], "The whole image", on.fit],
      [["v"], "Prediction: filled, outlines, hidden", cycle("mode", ["fill", "outline", "hide"])],
      [["c"], "Fade where unsure", () => set({ confidence: !state.confidence })],
      [["l"], "Labels shown or hidden", () => set({ labelsShown: !state.labelsShown })],
      [["k"], "Compare: off, swipe, side by side", cycle("compare", ["off", "swipe", "side"])],
      [[","], "Prediction fainter", () => set({ opacity: Math.max(0, state.opacity - 0.1) })],
      [["."], "Prediction stronger", () => set({ opacity: Math.min(1, state.opacity + 0.1) })],
      [[" "], "Held: move the image", () => {}],
      [["?"], "This sheet", on.help],
    ],
  };
}

export function bind(groups, held) {
  const known = new Map();
  for (const rows of Object.values(groups)) {
    for (const [keys, , act] of rows) {
      const all = keys[0] === "1" ? [..."123456789"] : keys;
      for (const key of all) known.set(key, act);
      if (keys.includes("ArrowUp")) for (const key of keys) known.set(`Shift+${key}`, act);
    }
  }
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input:not([type=range]):not([type=checkbox]):not([type=radio]), select, textarea, dialog[open]");
    if (field || event.altKey) return;
    const onCanvas = event.target.id === "overlay" || event.target === document.body;
    if (event.key === " " && onCanvas) { held.space = true; event.preventDefault(); return; }
    if ((event.key === "Enter" || event.key.startsWith("Arrow")) && !onCanvas) return;
    const single = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const shift = event.shiftKey && (event.key.length > 1 || event.ctrlKey || event.metaKey) ? "Shift+" : "";
    const act = known.get((event.ctrlKey || event.metaKey ? "Ctrl+" : "") + shift + single);
    if (!act) return;
    event.preventDefault();
    act(event);
  });
  document.addEventListener("keyup", (event) => { if (event.key === " ") held.space = false; });
}

export function sheet(groups) {
  const shown = (keys) => {
    if (keys[0] === "1") return [element("kbd", {}, "1"), "to", element("kbd", {}, "9")];
    return keys.map((key) => element("kbd", {}, (key === "+" ? [key] : key.split("+")).map((part) => named[part] || (part.length === 1 && part !== "" ? part.toUpperCase() : part)).join(" ")));
  };
  return Object.entries(groups).map(([title, rows]) => element("section", {}, element("h3", {}, title),
    element("dl", {}, ...rows.flatMap(([keys, words]) => [element("dt", {}, ...shown(keys)), element("dd", {}, words)]))));
}
