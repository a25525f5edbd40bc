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

/** Labels as two pictures: fill, in their colors, and rim, all white, which is drawn around them: by it they are told from
 *  the same class as predicted. */
export function labelPicture(labels, width, height) {
  const fill = painted(labels, width, height, () => 255), rim = blank(width, height).getContext("2d");
  rim.drawImage(fill, 0, 0);
  rim.globalCompositeOperation = "source-in";
  rim.fillStyle = "#fff";
  rim.fillRect(0, 0, width, height);
  rim.globalCompositeOperation = "source-over";
  return { fill, rim: rim.canvas };
}

/** Paint a part of the pictures of labels anew. */
export function patchPicture(picture, labels, box) {
  const reach = 2; // what was drawn for the time being has soft edges, which lie around the part
  const { width: wide, height: high } = picture.fill, x = Math.max(0, box[0] - reach), y = Math.max(0, box[1] - reach);
  const width = Math.min(wide, box[0] + box[2] + reach) - x, height = Math.min(high, box[1] + box[3] + reach) - y;
  const part = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) part.set(labels.subarray((y + row) * wide + x, (y + row) * wide + x + width), row * width);
  const found = labelPicture(part, width, height);
  for (const name of ["fill", "rim"]) {
    const context = picture[name].getContext("2d");
    context.clearRect(x, y, width, height);
    context.drawImage(found[name], x, y);
  }
}
