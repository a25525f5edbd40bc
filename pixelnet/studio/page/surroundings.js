// A sample's surroundings: its pixel in a ring, in the middle, and as much around it as somebody wants to see.
import { Refused, ask } from "./api.js";
import { element, icon } from "./tools.js";

const ACROSS = 97; // pixels that are seen at first, as in the pictures of the survey
const MAGNIFIED = 4; // these pictures are
const CLOSEST = 64, RING = 14, PIXEL = 6; // in pixels of the screen; a single pixel is outlined where it is so large

/** A canvas in `frame`, and buttons to see more and less. ready(): the first picture of a sample is there. */
export function makeSurroundings(frame, { ready, complain }) {
  const canvas = element("canvas", { tabIndex: 0, role: "img", "aria-label": "The surroundings of the pixel that is asked for, which is in the ring" });
  const button = (name, words, key, act) => element("button", { "aria-label": words, title: `${words} (${key})`, onclick: act }, icon(name));
  const buttons = element("div", { className: "zooms card", role: "group", "aria-label": "How near" },
    button("minus", "More around it", "-", () => zoom(1 / 1.5)), button("fit", "The whole image", "0", whole), button("plus", "Nearer", "+", () => zoom(1.5)));
  const note = element("p", { className: "tag", hidden: true }, "Its image is not here any more; this is the survey's own picture of it.");
  frame.replaceChildren(canvas, note, buttons);
  let sample = null, scale = 1, parts = [], asked = 0, coming = 0;

  const ratio = () => devicePixelRatio || 1;
  const size = () => ({ width: canvas.clientWidth || 1, height: canvas.clientHeight || 1 });
  const first = () => Math.min(size().width, size().height) / ACROSS;
  /** The scale at which all of the image is seen, a little farther away in any case. */
  const least = () => (sample.size ? Math.min(0.9 * first(), size().width / sample.size[0], size().height / sample.size[1]) : first());

  /** What is in the middle, in pixels of the image: the sample, and the farther away the more the image's own middle. */
  function middle() {
    const [x, y] = [sample.x + 0.5, sample.y + 0.5], way = scale < first() ? (first() - scale) / (first() - least()) : 0;
    return way ? { x: x + way * (sample.size[0] / 2 - x), y: y + way * (sample.size[1] / 2 - y) } : { x, y };
  }

  function zoom(factor) {
    if (!sample?.size) return;
    scale = Math.max(least(), Math.min(CLOSEST, scale * factor));
    draw();
    soon();
  }

  /** All of the image, and back again. */
  function whole() {
    if (!sample?.size) return;
    scale = scale > least() * 1.001 ? least() : first();
    draw();
    soon();
  }

  function soon() {
    clearTimeout(coming);
    coming = setTimeout(fetchPart, 90);
  }

  /** What is on screen, every few pixels of it where they are smaller than the screen's. */
  async function fetchPart() {
    const [width, height] = sample.size, half = { x: size().width / scale / 2, y: size().height / scale / 2 }, at = middle();
    const x = Math.max(0, Math.floor(at.x - half.x)), y = Math.max(0, Math.floor(at.y - half.y));
    const part = { x, y, width: Math.min(width, Math.ceil(at.x + half.x)) - x, height: Math.min(height, Math.ceil(at.y + half.y)) - y, step: Math.min(4096, Math.max(1, Math.floor(1 / scale / ratio()))) };
    const query = Object.entries(part).map(([name, value]) => `${name}=${value}`).join("&"), turn = ++asked, own = sample;
    await picture(`/api/survey/${sample.number}/pixels?${query}`, part, () => turn === asked && own === sample, (error) => {
      if (parts.length || !(error instanceof Refused)) return complain(error);
      show({ ...sample, size: null }); // the image has gone meanwhile
    });
  }

  async function picture(address, part, wanted, fail = complain) {
    try {
      const bitmap = await createImageBitmap(await (await ask(address)).blob());
      if (!wanted()) return;
      const begins = !parts.length;
      // What was seen before stays beneath what is finer, or nearer.
      parts = [...parts.filter((one) => one.step > part.step || one.width > part.width), { bitmap, ...part }];
      draw();
      if (begins) ready();
    } catch (error) { if (wanted()) fail(error); }
  }

  function draw() {
    const { width, height } = size(), pen = canvas.getContext("2d");
    canvas.width = Math.round(width * ratio());
    canvas.height = Math.round(height * ratio());
    if (!sample) return;
    pen.scale(ratio(), ratio());
    pen.translate(width / 2 - middle().x * scale, height / 2 - middle().y * scale);
    pen.imageSmoothingEnabled = scale < 2;
    for (const { bitmap, x, y, step } of parts) pen.drawImage(bitmap, x * scale, y * scale, bitmap.width * step * scale, bitmap.height * step * scale);
    if (sample.size) ring(pen, (sample.x + 0.5) * scale, (sample.y + 0.5) * scale);
  }

  function ring(pen, x, y) {
    for (const [color, wide] of [["#fff", 4], ["#000", 2]]) {
      pen.strokeStyle = color;
      pen.lineWidth = wide;
      pen.beginPath();
      pen.arc(x, y, Math.max(RING, 2.2 * scale), 0, 2 * Math.PI);
      pen.stroke();
    }
    if (scale < PIXEL) return;
    pen.lineWidth = 1;
    for (const [color, wide] of [["#fff", 1.5], ["#000", 0.5]]) {
      pen.strokeStyle = color;
      pen.strokeRect(x - scale / 2 - wide, y - scale / 2 - wide, scale + 2 * wide, scale + 2 * wide);
    }
  }

  /** The survey's own picture: ACROSS pixels, magnified, the sample in the middle of a ring that it has itself. */
  function crop() {
    const own = sample, half = (ACROSS - 1) / 2;
    picture(`/api/survey/${own.number}/crop`, { x: own.x - half, y: own.y - half, width: ACROSS, step: 1 / MAGNIFIED }, () => own === sample);
  }

  function show(next) {
    sample = next;
    parts = [];
    clearTimeout(coming);
    note.hidden = Boolean(sample.size);
    buttons.hidden = !sample.size;
    scale = first();
    draw();
    if (sample.size) fetchPart();
    else crop();
  }

  canvas.onwheel = (event) => { event.preventDefault(); zoom(1.0015 ** -event.deltaY); };
  new ResizeObserver(() => { if (sample) { draw(); if (sample.size) soon(); } }).observe(canvas);
  return { show, zoom, whole, focus: () => canvas.focus({ preventScroll: true }), waits: (is) => canvas.classList.toggle("waiting", is) };
}
