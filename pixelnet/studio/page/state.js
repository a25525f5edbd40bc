// What the page knows, in one place; whoever is concerned listens to what changes.
export const NONE = 255;

export const state = {
  project: "", folder: "", images: [], classes: [], classesAt: 0, counts: {}, channels: [], learner: {}, export: {}, finetune: {}, survey: {},
  number: 0, chosen: null, tool: "brush", radius: 4, filter: "",
  mode: "fill", opacity: 0.45, confidence: false, labelsShown: true, compare: "off", swipe: 0.5,
  brightness: 1, contrast: 1, channel: "", undo: 0, redo: 0, away: false, suggested: null,
};

const heard = new Map();

export function on(name, call) {
  if (!heard.has(name)) heard.set(name, []);
  heard.get(name).push(call);
}

export function emit(name, what) {
  for (const call of heard.get(name) || []) call(what);
}

/** Change something, and tell. */
export function set(changes) {
  Object.assign(state, changes);
  for (const name of Object.keys(changes)) emit(name);
  emit("any");
}

/** Take over the classes of a version of the project, unless newer ones are known: answers come late. */
export function setClasses(classes, version, chosen = state.chosen) {
  if (version < state.classesAt) return;
  const kept = classes.some((own) => own.id === chosen);
  set({ classesAt: version, classes, chosen: kept ? chosen : classes.at(-1)?.id ?? null });
}

export const readable = () => state.images.filter((own) => own.number !== null && own.state !== "broken");
export const shown = () => state.images.find((own) => own.number === state.number);
export const classOf = (id) => state.classes.find((own) => own.id === id);

export function rgb(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

/** The colors of all class numbers, one after the other, as red, green, blue. */
export function palette() {
  const colors = new Uint8Array(256 * 3);
  for (const own of state.classes) colors.set(rgb(own.color), own.id * 3);
  return colors;
}
