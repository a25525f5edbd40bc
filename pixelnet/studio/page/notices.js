// What is said in passing.
let hiding = 0;

/** A box of the page, where it is seen and heard: what is outside an open dialog is neither. */
export function front(id) {
  const box = document.getElementById(id), place = document.querySelector("dialog[open]") || document.body;
  if (box.parentElement !== place) place.append(box);
  return box;
}

export function toast(words) {
  const box = front("toast");
  box.textContent = words;
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { box.hidden = true; }, 7000);
}
