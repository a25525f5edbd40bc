// The view: where the image lies on the screen, and all its layers. Pixel (0, 0) has its center at (0, 0).
import { state, on, emit, shown, classOf } from "./state.js";
import { answerPicture, labelPicture, patchPicture } from "./layers.js";

const picture = document.getElementById("picture");
const overlay = document.getElementById("overlay");
const box = document.getElementById("view");
const GRID_FROM = 12; // screen pixels a pixel, from which on the grid is drawn
const MOST = 64;
const RIM = [[1.5, 0], [-1.5, 0], [0, 1.5], [0, -1.5]]; // of labels, in pixels of the screen

export const view = { zoom: 1, x: 0, y: 0, width: 0, height: 0, ratio: 1 };
/** whole, detail: { bitmap, x, y, step } of the image; labels: { map, x, y, width, height, step }; below: an answer that
 *  says something of more than the newest one does, until that is there of all, too. */
const layers = { whole: null, detail: null, answer: null, below: null, labels: null, labelPicture: null };
let pending = false;
/** What is being drawn, in pixels of the image: { points, radius, color, kind }. */
export let draft = null;
export let cursor = null;

export const setDraft = (what) => { draft = what; redraw(); };
export const setCursor = (where) => { cursor = where; redraw(); };

export function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; draw(); });
}

// ------------------------------------------------------------------------------------------- where it lies

/** Side by side, the view is two panes that show the same; otherwise it is one. */
export function panes() {
  if (state.compare !== "side") return [{ left: 0, width: view.width, answer: true }];
  const half = view.width > view.height ? Math.floor(view.width / 2) : view.width / 2;
  return [{ left: 0, width: half, answer: false }, { left: half, width: view.width - half, answer: true }];
}

export function toImage(sx, sy) {
  const pane = panes().findLast((own) => sx >= own.left) || panes()[0];
  return { x: (sx - pane.left - view.x) / view.zoom - 0.5, y: (sy - view.y) / view.zoom - 0.5 };
}

export const toScreen = (x, y) => ({ x: (x + 0.5) * view.zoom + view.x, y: (y + 0.5) * view.zoom + view.y });

export function fit() {
  const image = shown();
  if (!image) return;
  const width = panes()[0].width, narrow = matchMedia("(max-width: 860px)").matches;
  const [left, bottom] = narrow ? [0, 108] : [56, 0];
  view.zoom = Math.min((width - left - 16) / image.width, (view.height - bottom - 16) / image.height, MOST);
  view.x = left + (width - left - image.width * view.zoom) / 2;
  view.y = (view.height - bottom - image.height * view.zoom) / 2;
  moved();
}

export function zoomAt(factor, sx = view.width / 2, sy = view.height / 2) {
  const image = shown();
  if (!image) return;
  const pane = panes().findLast((own) => sx >= own.left) || panes()[0];
  const least = Math.min(0.5, (0.5 * Math.min(view.width / image.width, view.height / image.height)));
  const zoom = Math.min(MOST, Math.max(least, view.zoom * factor));
  view.x = sx - pane.left - ((sx - pane.left - view.x) * zoom) / view.zoom;
  view.y = sy - ((sy - view.y) * zoom) / view.zoom;
  view.zoom = zoom;
  moved();
}

export function pan(dx, dy) {
  view.x += dx;
  view.y += dy;
  moved();
}

export function center(x, y, zoom = view.zoom) {
  view.zoom = zoom;
  view.x = panes()[0].width / 2 - (x + 0.5) * zoom;
  view.y = view.height / 2 - (y + 0.5) * zoom;
  moved();
}

function moved() {
  redraw();
  emit("moved");
}

/** The part of the image that is on screen, in whole pixels. */
export function visible() {
  const image = shown();
  const first = (at) => Math.max(0, Math.floor(-at / view.zoom));
  const x = first(view.x), y = first(view.y);
  const right = Math.min(image.width, Math.ceil((panes()[0].width - view.x) / view.zoom));
  const bottom = Math.min(image.height, Math.ceil((view.height - view.y) / view.zoom));
  return { x, y, width: Math.max(1, right - x), height: Math.max(1, bottom - y) };
}

// -------------------------------------------------------------------------------------------------- layers

export function clear() {
  Object.keys(layers).forEach((name) => { layers[name] = null; });
  redraw();
}

/** A picture of a part of the image, or of all of it; what: "whole" or "detail", which lies over it. */
export function setImage(bitmap, own, what) {
  layers[what] = bitmap && { bitmap, ...own };
  showPreview();
  redraw();
}

/** Whether what is on screen is shown as finely as the screen does. */
export function detailed() {
  const seen = visible(), finest = Math.max(1, Math.floor(1 / (view.zoom * view.ratio)));
  return [layers.whole, layers.detail].some((own) => own && own.step <= finest && own.x <= seen.x && own.y <= seen.y &&
    own.x + own.width >= seen.x + seen.width && own.y + own.height >= seen.y + seen.height);
}

/** Whether an answer says something of all that is on screen. */
export function covers(own) {
  const seen = visible();
  return within({ left: seen.x, top: seen.y, width: seen.width, height: seen.height, step: 1 }, own);
}

/** Say what is not the last word: an answer of filters alone, and what leaves pixels out. */
function showPreview() {
  const own = layers.answer, shownNow = layers.detail || layers.whole, tag = document.getElementById("preview");
  const said = [];
  if (own && (own.preview || (own.step > 1 && !shown()?.large))) said.push("preview");
  if (shownNow && shownNow.step > 1) said.push(`every ${shownNow.step}th pixel`.replace("2th", "2nd").replace("3th", "3rd"));
  tag.textContent = said.join(" · ");
  tag.hidden = !said.length;
}

export const answer = () => layers.answer;

export const isBlank = () => !layers.whole;

const right = (own) => own.left + own.width * own.step, bottom = (own) => own.top + own.height * own.step;
const within = (one, other) => other.left <= one.left && other.top <= one.top && right(other) >= right(one) && bottom(other) >= bottom(one);

export function setAnswer(found) {
  layers.below = (found && [layers.answer, layers.below].find((own) => own && !within(own, found))) || null;
  layers.answer = found;
  if (found) found.picture = answerPicture(found, state.mode, state.confidence);
  showPreview();
  redraw();
  if (found) requestAnimationFrame(() => emit("answered", found));
}

/** own: what part of the image they are of: { x, y, width, height, step }. */
export function setLabels(map, own) {
  layers.labels = { ...own, map, width: Math.ceil(own.width / own.step), height: Math.ceil(own.height / own.step) };
  layers.labelPicture = labelPicture(map, layers.labels.width, layers.labels.height);
  redraw();
}

export function patchLabels(part, [x, y, width, height]) {
  if (!layers.labels) return;
  const wide = layers.labels.width;
  for (let row = 0; row < height; row++) layers.labels.map.set(part.subarray(row * width, (row + 1) * width), (y + row) * wide + x);
  patchPicture(layers.labelPicture, layers.labels.map, [x, y, width, height]);
  redraw();
}

/** Until the server says which pixels a stroke has, it is shown as a line. */
export function provisional(stroke) {
  if (!layers.labelPicture) return;
  const { x: left, y: top, step } = layers.labels;
  for (const [name, color] of [["fill", stroke.color], ["rim", "#fff"]]) {
    const context = layers.labelPicture[name].getContext("2d");
    context.save();
    context.globalCompositeOperation = stroke.color ? "source-over" : "destination-out";
    trace(context, stroke, (x, y) => [(x + 0.5 - left) / step, (y + 0.5 - top) / step], stroke.radius / step, color || "#000");
    context.restore();
  }
  redraw();
}

/** What is known of a pixel: its label, the answer there, and how sure that is. */
export function readPixel(x, y) {
  const image = shown();
  if (!image || x < 0 || y < 0 || x >= image.width || y >= image.height) return null;
  const label = at(layers.labels, x, y);
  for (const own of [layers.answer, layers.below]) {
    if (!own || x < own.left || y < own.top || x >= right(own) || y >= bottom(own)) continue;
    const place = Math.floor((y - own.top) / own.step) * own.width + Math.floor((x - own.left) / own.step);
    return { label: classOf(label), said: classOf(own.labels[place]), sure: own.sure[place] / 255 };
  }
  return { label: classOf(label), said: null, sure: 0 };
}

function at(own, x, y) {
  if (!own) return 255;
  const column = Math.floor((x - own.x) / own.step), row = Math.floor((y - own.y) / own.step);
  return column >= 0 && row >= 0 && column < own.width && row < own.height ? own.map[row * own.width + column] : 255;
}

function restyle() {
  for (const own of [layers.answer, layers.below]) if (own) own.picture = answerPicture(own, state.mode, state.confidence);
  if (layers.labels) layers.labelPicture = labelPicture(layers.labels.map, layers.labels.width, layers.labels.height);
  redraw();
}

for (const name of ["mode", "confidence", "classes"]) on(name, restyle);
for (const name of ["opacity", "labelsShown", "swipe", "tool", "radius", "suggested", "chosen"]) on(name, redraw);
on("compare", fit);
for (const name of ["brightness", "contrast"]) {
  on(name, () => { picture.style.filter = `brightness(${state.brightness}) contrast(${state.contrast})`; });
}

// ------------------------------------------------------------------------------------------------- drawing

function trace(context, stroke, place, radius, color) {
  context.beginPath();
  stroke.points.forEach(([x, y], k) => context[k ? "lineTo" : "moveTo"](...place(x, y)));
  if (stroke.points.length === 1) context.lineTo(...place(stroke.points[0][0] + 1e-3, stroke.points[0][1]));
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = Math.max(1, 2 * radius);
  context.strokeStyle = color;
  context.stroke();
}

function draw() {
  const image = shown();
  for (const canvas of [picture, overlay]) {
    const [width, height] = [Math.round(view.width * view.ratio), Math.round(view.height * view.ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d").setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    canvas.getContext("2d").clearRect(0, 0, view.width, view.height);
  }
  if (!image) return;
  for (const pane of panes()) drawPane(picture.getContext("2d"), overlay.getContext("2d"), image, pane);
  if (state.compare === "side") drawDivide(overlay.getContext("2d"), panes()[1].left);
}

function drawDivide(context, left) {
  for (const [width, color] of [[4, "rgb(0 0 0 / .4)"], [2, "#fff"]]) {
    context.fillStyle = color;
    context.fillRect(left - width / 2, 0, width, view.height);
  }
}

function drawPane(below, above, image, pane) {
  for (const context of [below, above]) {
    context.save();
    context.beginPath();
    context.rect(pane.left, 0, pane.width, view.height);
    context.clip();
    context.translate(pane.left, 0);
    context.imageSmoothingEnabled = view.zoom < 2;
    context.imageSmoothingQuality = "high";
  }
  for (const own of [layers.whole, layers.detail]) if (own) below.drawImage(own.bitmap, ...placed(own, own.bitmap));
  if (pane.answer && layers.answer && state.mode !== "hide") drawAnswer(above, pane);
  if (layers.labelPicture && state.labelsShown) drawLabels(above);
  if (view.zoom >= GRID_FROM) drawGrid(above, image, pane);
  drawSuggestion(above);
  drawDraft(above);
  drawCursor(above);
  below.restore();
  above.restore();
}

function drawLabels(context) {
  const [left, top, width, height] = placed(layers.labels, layers.labels);
  context.imageSmoothingEnabled = view.zoom * layers.labels.step < 1; // so that a single pixel is seen from afar
  for (const [dx, dy] of RIM) context.drawImage(layers.labelPicture.rim, left + dx, top + dy, width, height);
  context.drawImage(layers.labelPicture.fill, left, top, width, height);
}

/** Where a picture of a part of the image lies on the screen: left, top, width, height. */
function placed(own, { width, height }) {
  const size = view.zoom * own.step;
  return [view.x + own.x * view.zoom, view.y + own.y * view.zoom, width * size, height * size];
}

function drawAnswer(context, pane) {
  const place = (own) => [view.x + own.left * view.zoom, view.y + own.top * view.zoom, own.width * own.step * view.zoom, own.height * own.step * view.zoom];
  const paint = (own) => {
    context.imageSmoothingEnabled = view.zoom < 1 && own.step === 1;
    context.drawImage(own.picture, ...place(own));
  };
  context.save();
  if (state.compare === "swipe") {
    context.beginPath();
    context.rect(state.swipe * pane.width, 0, pane.width, view.height);
    context.clip();
  }
  context.globalAlpha = state.mode === "outline" ? 1 : state.opacity;
  if (layers.below) {
    context.save();
    context.beginPath();
    context.rect(0, 0, pane.width, view.height);
    context.rect(...place(layers.answer));
    context.clip("evenodd");
    paint(layers.below);
    context.restore();
  }
  paint(layers.answer);
  context.restore();
}

function drawGrid(context, image, pane) {
  const part = visible();
  context.beginPath();
  for (let x = part.x; x <= part.x + part.width; x++) {
    const at = Math.round(x * view.zoom + view.x) + 0.5;
    context.moveTo(at, Math.max(0, view.y));
    context.lineTo(at, Math.min(view.height, view.y + image.height * view.zoom));
  }
  for (let y = part.y; y <= part.y + part.height; y++) {
    const at = Math.round(y * view.zoom + view.y) + 0.5;
    context.moveTo(Math.max(0, view.x), at);
    context.lineTo(Math.min(pane.width, view.x + image.width * view.zoom), at);
  }
  context.strokeStyle = "rgb(128 128 128 / .35)";
  context.lineWidth = 1;
  context.stroke();
}

function ring(context, at, radius) {
  for (const [width, color] of [[3, "rgb(0 0 0 / .55)"], [1.25, "#fff"]]) {
    context.beginPath();
    context.arc(at.x, at.y, radius, 0, 2 * Math.PI);
    context.lineWidth = width;
    context.strokeStyle = color;
    context.stroke();
  }
}

function drawSuggestion(context) {
  if (!state.suggested || state.suggested.image !== state.number) return;
  const at = toScreen(state.suggested.x, state.suggested.y);
  ring(context, at, 18);
  ring(context, at, 24);
}

function drawDraft(context) {
  if (!draft) return;
  const place = (x, y) => { const at = toScreen(x, y); return [at.x, at.y]; };
  if (draft.kind === "brush") {
    context.globalAlpha = 0.9;
    trace(context, draft, place, draft.radius * view.zoom, draft.color || "rgb(255 255 255 / .6)");
    context.globalAlpha = 1;
    return;
  }
  context.beginPath();
  if (draft.kind === "box") {
    const [[x0, y0], [x1, y1]] = draft.points.map(([x, y]) => place(x, y));
    context.rect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
  } else draft.points.forEach(([x, y], k) => context[k ? "lineTo" : "moveTo"](...place(x, y)));
  for (const [width, color] of [[3, "rgb(0 0 0 / .5)"], [1.5, draft.color || "#fff"]]) {
    context.lineWidth = width;
    context.strokeStyle = color;
    context.stroke();
  }
}

function drawCursor(context) {
  if (!cursor) return;
  const at = toScreen(cursor.x, cursor.y);
  if (cursor.cross) {
    for (const [width, color] of [[3, "rgb(0 0 0 / .6)"], [1.25, "#fff"]]) {
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [0, 1]]) {
        for (const sign of [-1, 1]) { context.moveTo(at.x + 4 * sign * dx, at.y + 4 * sign * dy); context.lineTo(at.x + 12 * sign * dx, at.y + 12 * sign * dy); }
      }
      context.lineWidth = width;
      context.strokeStyle = color;
      context.stroke();
    }
  }
  if (state.tool === "brush" || state.tool === "eraser") ring(context, at, Math.max(1.5, state.radius * view.zoom));
}

new ResizeObserver(() => {
  const before = view.width;
  view.width = box.clientWidth;
  view.height = box.clientHeight;
  view.ratio = Math.min(3, devicePixelRatio || 1);
  if (before) moved();
  else fit();
}).observe(box);

