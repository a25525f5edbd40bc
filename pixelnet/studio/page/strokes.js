// Painting: mouse, pen, fingers and keys become operations.
import { operate } from "./api.js";
import { answer, cursor, draft, pan, provisional, readPixel, setCursor, setDraft, toImage, toScreen, view, zoomAt } from "./canvas.js";
import { classOf, emit, on, shown, state } from "./state.js";

const overlay = document.getElementById("overlay");
const MOST = 4000; // points of a stroke; a longer one goes on as another
const pointers = new Map();
let gesture = null; // of two fingers: where they were
let panning = false;
export const held = { space: false };

const exact = ([x, y]) => [Math.round(x * 100) / 100, Math.round(y * 100) / 100];
/** What a stroke is of, from its beginning on: another class may be chosen while it is drawn. */
const kind = () => (state.tool === "eraser" ? { label: null, color: null } : { label: state.chosen, color: classOf(state.chosen)?.color });
const sent = (what, body) => operate(`/api/images/{image}/${what}`, body, shown()).catch(() => {});
/** Whether something is being drawn. */
export const busy = () => Boolean(draft);

function ready() {
  if (!shown() || shown().state === "broken") return false;
  if (["brush", "point", "polygon"].includes(state.tool) && !classOf(state.chosen)) {
    emit("refused", "Add a class first, on the right; then paint a little of it.");
    return false;
  }
  return true;
}

export function begin(x, y) {
  if (!ready()) return;
  const tool = state.tool;
  if (tool === "polygon") return corner(x, y);
  const form = { accept: "box", fill: "place", point: "place" }[tool] || "brush";
  setDraft({ kind: form, tool, points: form === "box" ? [[x, y], [x, y]] : [[x, y]], radius: state.radius, ...kind() });
}

export function extend(x, y) {
  if (!draft) return;
  if (draft.kind === "brush") {
    const [lastX, lastY] = draft.points.at(-1);
    if (Math.hypot(x - lastX, y - lastY) * view.zoom < 1.5) return;
    draft.points.push([x, y]);
    if (draft.points.length >= MOST) { send(draft); setDraft({ ...draft, points: [[x, y]] }); }
  } else draft.points[draft.points.length - 1] = [x, y];
  setDraft(draft);
}

/** What was begun is done where the pointer is lifted, so that a second finger, which zooms, leaves no mark. */
export function end() {
  if (!draft) return;
  if (draft.kind === "polygon") return draft.pressed ? turn() : undefined;
  const own = draft, [[x, y]] = own.points;
  setDraft(null);
  if (own.kind === "brush") return send(own);
  if (own.tool === "fill") return accept("fill", Math.round(x), Math.round(y), 1, 1);
  if (own.tool === "point") return send({ ...own, points: [[Math.round(x), Math.round(y)]], radius: 0.5 });
  const [[x0, y0], [x1, y1]] = own.points.map(([x, y]) => [Math.floor(x + 0.5), Math.floor(y + 0.5)]);
  const [left, top] = [Math.max(0, Math.min(x0, x1)), Math.max(0, Math.min(y0, y1))];
  accept("box", left, top, Math.max(x0, x1) - left + 1, Math.max(y0, y1) - top + 1);
}

export const cancel = () => setDraft(null);

/** A corner of an outline follows the pointer until that is lifted. */
function corner(x, y) {
  if (!draft) return setDraft({ kind: "polygon", points: [[x, y]], pressed: true, ...kind() });
  draft.points[draft.points.length - 1] = [x, y];
  setDraft({ ...draft, pressed: true });
}

function turn() {
  const [x, y] = draft.points.at(-1), first = toScreen(...draft.points[0]), here = toScreen(x, y);
  if (draft.points.length > 3 && Math.hypot(first.x - here.x, first.y - here.y) < 12) return close();
  setDraft({ ...draft, points: [...draft.points, [x, y]], pressed: false });
}

/** End an outline: its last corner is where the pointer is, and is none of it. */
export function close() {
  if (draft?.kind !== "polygon") return;
  const { points, label } = draft;
  setDraft(null);
  if (points.length > 3) sent("strokes", { tool: "polygon", label, points: points.slice(0, -1).map(exact) });
}

function send(own) {
  provisional(own);
  sent("strokes", { tool: "brush", label: own.label, points: own.points.map(exact), radius: own.radius });
}

function accept(tool, x, y, width, height) {
  const image = shown(), own = answer();
  if (x < 0 || y < 0 || x >= image.width || y >= image.height) return;
  if (!own) return emit("refused", "There is no prediction yet to accept. Paint a little of two classes first.");
  sent("accept", { tool, serial: own.serial, x, y, width, height });
}

on("tool", cancel);

// ------------------------------------------------------------------------------------------------ pointers

const where = (event) => { const edge = overlay.getBoundingClientRect(); return { x: event.clientX - edge.left, y: event.clientY - edge.top }; };

overlay.addEventListener("pointerdown", (event) => {
  overlay.focus({ preventScroll: true });
  overlay.setPointerCapture(event.pointerId);
  const at = where(event);
  pointers.set(event.pointerId, at);
  if (pointers.size === 2) {
    if (draft?.kind !== "polygon") cancel();
    else setDraft({ ...draft, pressed: false }); // the corners that it has stay
    gesture = spread();
  } else if (event.button === 1 || held.space || state.tool === "pan") {
    panning = true;
    overlay.classList.add("panning");
    event.preventDefault();
  } else if (event.button === 0 && pointers.size === 1) {
    const { x, y } = toImage(at.x, at.y);
    begin(x, y);
  }
});

overlay.addEventListener("pointermove", (event) => {
  const at = where(event), before = pointers.get(event.pointerId);
  if (before) pointers.set(event.pointerId, at);
  if (gesture && pointers.size === 2) return pinch();
  if (panning && before) return pan(at.x - before.x, at.y - before.y);
  for (const one of event.getCoalescedEvents?.() || [event]) {
    const own = where(one), { x, y } = toImage(own.x, own.y);
    if (draft && (before || draft.kind === "polygon")) extend(x, y);
  }
  const { x, y } = toImage(at.x, at.y);
  if (event.pointerType !== "touch") setCursor({ x, y });
  emit("hover", readPixel(Math.round(x), Math.round(y)) && { x: Math.round(x), y: Math.round(y) });
});

function lift(event) {
  pointers.delete(event.pointerId);
  if (gesture) { gesture = pointers.size === 2 ? spread() : null; if (!pointers.size) gesture = null; return; }
  if (panning) { panning = false; overlay.classList.remove("panning"); return; }
  if (event.type === "pointercancel" && draft?.kind !== "polygon") return cancel();
  end();
}
overlay.addEventListener("pointerup", lift);
overlay.addEventListener("pointercancel", lift);
overlay.addEventListener("lostpointercapture", (event) => { if (pointers.has(event.pointerId)) lift(event); });
addEventListener("blur", () => { held.space = false; });
overlay.addEventListener("pointerleave", () => { if (!cursor?.cross) setCursor(null); emit("hover", null); });
overlay.addEventListener("dblclick", close);
overlay.addEventListener("contextmenu", (event) => event.preventDefault());

function spread() {
  const [one, other] = [...pointers.values()];
  return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2, wide: Math.max(1, Math.hypot(one.x - other.x, one.y - other.y)) };
}

function pinch() {
  const now = spread();
  pan(now.x - gesture.x, now.y - gesture.y);
  zoomAt(now.wide / gesture.wide, now.x, now.y);
  gesture = now;
}

overlay.addEventListener("wheel", (event) => {
  event.preventDefault();
  const at = where(event);
  if (event.shiftKey) return pan(-event.deltaY - event.deltaX, 0);
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), at.x, at.y);
}, { passive: false });

// -------------------------------------------------------------------------------------- without a pointer

/** Move the cross by so many pixels of the screen, drawing if a stroke has begun. */
export function step(dx, dy) {
  const image = shown();
  if (!image) return;
  const middle = toImage(view.width / 2, view.height / 2);
  const from = cursor || { x: Math.round(middle.x), y: Math.round(middle.y) };
  const by = Math.max(1, Math.round(1 / view.zoom));
  const x = Math.min(image.width - 1, Math.max(0, Math.round(from.x) + dx * by));
  const y = Math.min(image.height - 1, Math.max(0, Math.round(from.y) + dy * by));
  setCursor({ x, y, cross: true });
  if (draft) extend(x, y);
  const at = toScreen(x, y);
  const edge = 40;
  pan(Math.max(0, edge - at.x) - Math.max(0, at.x - view.width + edge), Math.max(0, edge - at.y) - Math.max(0, at.y - view.height + edge));
  emit("hover", { x, y });
}

/** What a click at the cross would do: begin a stroke or a box, and end it; set a point or a corner. */
export function press() {
  if (!cursor) return step(0, 0);
  if (draft && draft.kind !== "polygon") return end();
  begin(cursor.x, cursor.y);
  if (draft && draft.kind !== "brush" && draft.kind !== "box") end();
}
