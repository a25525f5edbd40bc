// The samples of a survey, one after the other, and what the answers come to.
import { Away, Refused, complain, json } from "./api.js";
import { makeSurroundings } from "./surroundings.js";
import { on, state } from "./state.js";
import { element } from "./tools.js";

const get = (id) => document.getElementById(id);
const KEYS = [..."123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"]; // of the classes, by their place
const UNKNOWN = "?"; // cannot tell
const seen = []; // numbers of the samples that were answered here, the last one on top
let current = null, busy = false, lost = false, pressed = new Map(), around = null, tell = null; // lost: answered, and nothing came after it

/** One at a time: a key that is pressed before the next question is there is no answer to anything. */
export async function alone(call) {
  if (busy) return;
  busy = true;
  try { await call(); } catch (error) { complain(error); }
  busy = false;
}

/** Ask in `root`. shown(): something is asked, or told, now. others: buttons after the own ones, shown beside scores. */
export function makeSurvey(root, shown, ...others) {
  const keys = (words, ...all) => element("span", {}, ...all.map((own) => element("kbd", {}, own)), ` ${words}`);
  root.classList.add("survey");
  root.replaceChildren(
    element("div", { className: "heading" }, element("h2", { id: "survey-title" }), element("p", { id: "survey-place", className: "quiet" }), element("progress", { id: "survey-progress", max: 1, "aria-label": "Answered" })),
    element("div", { id: "survey-around" }),
    element("div", { id: "survey-asked" }, element("div", { id: "survey-choices", className: "choices", role: "group", "aria-label": "Answers" }),
      element("p", { id: "survey-keys", className: "quiet" }, keys("back", "⌫"), keys("nearer, farther", "+", "-"), keys("whole image", "0"))),
    element("div", { id: "survey-told", hidden: true }, element("pre", { id: "survey-report", tabIndex: 0 }), element("p", {}, element("a", { id: "survey-page", href: "/api/survey/page", target: "_blank" }, "Open the whole report"))),
    element("div", { className: "row end" }, element("button", { id: "survey-back", onclick: () => alone(back) }, "Back"), element("button", { id: "survey-scores", onclick: () => alone(scores) }, "Scores"), ...others),
  );
  around = makeSurroundings(get("survey-around"), { ready: () => ask(true), complain: (error) => complain(error instanceof Away || error instanceof Refused ? error : new Error("The picture of this pixel cannot be read. Plan the survey again to draw others.")) });
  root.addEventListener("keydown", press);
  tell = shown;
  on("away", () => { if (!state.away && lost) resume().catch(complain); });
}

function press(event) {
  // A key that is held answers once, and none answers what is not shown.
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !current || get("survey-around").hidden) return;
  const act = { Backspace: () => alone(back), "+": () => around.zoom(1.5), "=": () => around.zoom(1.5), "-": () => around.zoom(1 / 1.5), 0: around.whole }[event.key];
  const button = pressed.get(event.key);
  if (event.target.matches("input") ? event.key !== UNKNOWN : !act && !button) return;
  event.preventDefault();
  (act || (() => button.click()))();
}

export function show(sample) {
  current = sample.open ? sample : null;
  lost = false;
  if (!current) return scores();
  get("survey-title").textContent = "What is in the ring?";
  get("survey-place").textContent = `${sample.done} of ${sample.all} answered · ${sample.image}`;
  get("survey-progress").value = sample.done / sample.all;
  offer(sample);
  reveal(true);
  ask(false);
  around.show(sample);
}

/** The classes to choose from, or a field for the value. */
function offer(sample) {
  pressed = new Map();
  const choice = (name, words, key) => {
    const button = element("button", { onclick: () => answer(sample.number, words) }, element("span", {}, name), key ? element("kbd", {}, key) : null);
    if (key) pressed.set(key, button);
    return button;
  };
  const value = () => element("form", { onsubmit: (event) => { event.preventDefault(); answer(sample.number, get("survey-value").value); } },
    element("label", { className: "hidden", htmlFor: "survey-value" }, "Value"), element("input", { id: "survey-value", type: "number", step: "any", required: true, placeholder: "Value", autocomplete: "off" }), element("button", {}, "Keep"));
  const known = sample.choices.length ? sample.choices.map((name, place) => choice(name, name, KEYS[place])) : [value()];
  get("survey-choices").replaceChildren(...known, choice("Cannot tell", UNKNOWN, UNKNOWN));
  get("survey-keys").hidden = !sample.choices.length; // which a field for a value takes
}

/** What is asked can be answered once the picture of it is there, not while the last one still is. */
function ask(ready) {
  for (const own of get("survey-choices").querySelectorAll("button, input")) own.disabled = !ready;
  around.waits(!ready);
  if (!ready) return;
  const value = get("survey-value");
  if (value) value.focus();
  else around.focus();
}

function reveal(asking) {
  for (const id of ["survey-around", "survey-asked", "survey-scores", "survey-progress"]) get(id).hidden = !asking;
  for (const own of document.querySelectorAll("#survey-told, .with-scores")) own.hidden = asking;
  get("survey-back").disabled = asking && !seen.length;
  get("survey-back").textContent = asking || !current ? "Back" : "Go on";
  tell();
}

const answer = (number, words) => alone(async () => {
  ask(false);
  try {
    await json("/api/survey/answers", { number, answer: words });
    seen.push(number);
    lost = true;
    await show(await json(`/api/survey/next?after=${number}`));
  } catch (error) {
    if (!(error instanceof Refused)) { ask(!lost); throw error; }
    complain(error); // what is open now is asked: this pixel, unless somebody else has answered it meanwhile
    await show(await json(`/api/survey/next?after=${number - 1}`));
  }
});

/** Take the last answer back, and ask again; from the scores back to what was asked. */
async function back() {
  if (current && get("survey-around").hidden) return show(current);
  const number = seen.at(-1), found = await (number ? json("/api/survey/answers", { number, answer: null }) : json("/api/survey/next"));
  seen.pop();
  await show(found);
}

/** What is asked, again: the server was away, or somebody has come back. */
export const resume = async () => show(await json(`/api/survey/next?after=${current ? current.number - 1 : 0}`));

async function scores() {
  let words = "", refused = false;
  try { ({ words } = await json("/api/survey/report")); } catch (error) {
    if (current || !(error instanceof Refused)) throw error;
    [words, refused] = [error.message, true]; // nothing is asked any more, so that this is all there is to see
  }
  get("survey-title").textContent = "What the answers come to";
  get("survey-place").textContent = "";
  get("survey-report").textContent = words;
  reveal(false);
  get("survey-page").hidden = refused;
}
