// What lies over the image: maps of class numbers as pictures.
import { NONE, palette, state } from "./state.js";

export function blank(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

/** An answer of the server: a head, the class of each pixel, and how sure each is. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const size = head.width * head.height;
  return { ...head, labels: new Uint8Array(buffer, 4 + length, size), sure: new Uint8Array(buffer, 4 + length + size, size) };
}

/** A map of classes as a picture. How opaque: of each pixel by `alpha(k)`, 0 to 255. */
function painted(labels, width, height, alpha) {
  const canvas = blank(width, height);
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const colors = palette();
  const words = new Uint32Array(256);
  const known = new Uint8Array(256); // of a class that is gone nothing is shown, until there is another answer
  for (const own of state.classes) known[own.id] = 1;
  for (let id = 0; id < 255; id++) words[id] = colors[3 * id] | (colors[3 * id + 1] << 8) | (colors[3 * id + 2] << 16);
  for (let k = 0; k < pixels.length; k++) {
    const id = labels[k];
    if (id !== NONE && known[id]) pixels[k] = words[id] | (alpha(k, id) << 24);
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

/** An answer as filled colors or as outlines. With `fade`, what is unsure is fainter. */
export function answerPicture(answer, mode, fade) {
  const { labels, sure, width, height } = answer;
  const least = 255 / Math.max(2, new Set(labels).size);
  const strength = fade ? (k) => Math.max(0, (255 * (sure[k] - least)) / (255 - least)) : () => 255;
  if (mode !== "outline") return painted(labels, width, height, strength);
  const border = (k, id) => {
    const x = k % width;
    return (x + 1 < width && labels[k + 1] !== id) || (x > 0 && labels[k - 1] !== id) ||
      (k + width < labels.length && labels[k + width] !== id) || (k >= width && labels[k - width] !== id);
  };
  return painted(labels, width, height, (k, id) => (border(k, id) ? strength(k) : 0));
}

/** Labels as a picture, with a light rim, by which they are told from the same class as predicted. */
export function labelPicture(labels, width, height) {
  const canvas = blank(width, height);
  const context = canvas.getContext("2d");
  const colored = painted(labels, width, height, () => 255), rim = blank(width, height).getContext("2d");
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) rim.drawImage(colored, dx, dy);
  rim.globalCompositeOperation = "source-in";
  rim.fillStyle = "#fff";
  rim.fillRect(0, 0, width, height);
  context.drawImage(rim.canvas, 0, 0);
  context.drawImage(colored, 0, 0);
  return canvas;
}

/** Paint a part of a picture of labels anew, and the rim around it. */
export function patchPicture(canvas, labels, box) {
  const reach = 2; // the rim of what is beside the part comes from outside of it
  const clip = (at, length) => Math.min(length, Math.max(0, at));
  const x = clip(box[0] - reach, canvas.width), y = clip(box[1] - reach, canvas.height);
  const width = clip(box[0] + box[2] + reach, canvas.width) - x, height = clip(box[1] + box[3] + reach, canvas.height) - y;
  const part = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const start = (y + row) * canvas.width + x;
    part.set(labels.subarray(start, start + width), row * width);
  }
  const context = canvas.getContext("2d");
  const inner = [box[0] - 1, box[1] - 1, box[2] + 2, box[3] + 2];
  context.save();
  context.beginPath();
  context.rect(...inner);
  context.clip();
  context.clearRect(...inner);
  context.drawImage(labelPicture(part, width, height), x, y);
  context.restore();
}
