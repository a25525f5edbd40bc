// Measuring the model: pixels drawn by chance, one after the other, and what the answers come to.
import { Refused, complain, json, sentence } from "./api.js";
import { learnt } from "./panel.js";
import { on, state } from "./state.js";
import { element } from "./tools.js";

const get = (id) => document.getElementById(id);
const seen = []; // numbers of the samples that were looked at, the last one on top
let current = null, planning = false, busy = false;

/** One at a time: a key that is pressed before the next question is there is no answer to anything. */
async function alone(call) {
  if (busy) return;
  busy = true;
  try { await call(); } catch (error) { complain(error); }
  busy = false;
}

/** Go on with the survey that there is; begin one where there is none. */
export function openMeasure() {
  if (state.survey.running || !learnt()) return;
  alone(async () => {
    try { show(await json("/api/survey/next")); } catch (error) {
      if (!(error instanceof Refused)) throw error;
      get("measure-dialog").showModal();
    }
  });
}

export function makeSurvey() {
  get("measure").onclick = openMeasure;
  get("measure-dialog").querySelector("form").onsubmit = async (event) => {
    planning = true;
    try {
      await json("/api/survey", { budget: Number(new FormData(event.target).get("budget")) });
    } catch (error) {
      planning = false;
      complain(error);
    }
  };
  // Whoever goes on painting meanwhile is not interrupted, and no key of theirs is taken for an answer.
  for (const name of ["pointerdown", "keydown"]) document.addEventListener(name, () => { planning = false; });
  get("survey-back").onclick = () => alone(back);
  get("survey-scores").onclick = () => alone(scores);
  get("survey-anew").onclick = () => { get("survey-dialog").close(); get("measure-dialog").showModal(); };
  get("survey-close").onclick = () => get("survey-dialog").close();
  get("survey-dialog").onkeydown = (event) => {
    const keys = event.key === "?" ? -1 : Number(event.key) - 1;
    const button = [...get("survey-choices").children].find((own) => Number(own.dataset.place) === keys);
    if (button) { event.preventDefault(); button.click(); }
  };
  get("survey-crop").onload = () => ask(true);
  get("survey-crop").onerror = () => complain(new Error("The picture of this pixel cannot be read. Measure again to draw others."));
  on("survey", told);
  on("learner", allow);
}

const allow = () => { get("measure").disabled = Boolean(state.survey.running) || !state.learner.answers; };

function told() {
  const { words, running } = state.survey;
  get("survey-words").textContent = sentence(words);
  allow();
  if (running === false && planning && state.survey.done === 1) { planning = false; openMeasure(); }
}

function show(sample) {
  current = sample.open ? sample : null;
  if (!current) return scores();
  get("survey-title").textContent = "What is in the ring?";
  get("survey-place").textContent = `${sample.done} of ${sample.all} answered · ${sample.image}`;
  const choices = [...sample.choices.map((name, place) => [name, place]), ["Cannot tell", -1]];
  get("survey-choices").replaceChildren(...choices.map(([name, place]) => element("button", { "data-place": String(place), onclick: () => answer(sample.number, place < 0 ? "?" : name) },
    name, element("kbd", {}, place < 0 ? "?" : String(place + 1)))));
  reveal(true);
  ask(false);
  get("survey-crop").src = `/api/survey/${sample.number}/crop?now=${Date.now()}`;
}

/** What is asked can be answered once the picture of it is there, not while the last one still is. */
function ask(ready) {
  for (const button of get("survey-choices").children) button.disabled = !ready;
  get("survey-crop").classList.toggle("waiting", !ready);
  if (ready) get("survey-choices").firstChild?.focus();
}

function reveal(asking) {
  for (const id of ["survey-crop", "survey-choices", "survey-place", "survey-scores"]) get(id).hidden = !asking;
  for (const id of ["survey-report", "survey-page", "survey-anew"]) get(id).hidden = asking;
  get("survey-back").disabled = asking && !seen.length;
  if (!get("survey-dialog").open) get("survey-dialog").showModal();
  get("survey-words").textContent = "";
}

const answer = (number, words) => alone(async () => {
  ask(false);
  try {
    await json("/api/survey/answers", { number, answer: words });
    seen.push(number);
    await show(await json(`/api/survey/next?after=${number}`));
  } catch (error) {
    if (!(error instanceof Refused)) { ask(true); throw error; }
    complain(error); // what is open now is asked: this pixel, unless somebody else has answered it meanwhile
    await show(await json(`/api/survey/next?after=${number - 1}`));
  }
});

/** Take the last answer back, and ask again. */
async function back() {
  const number = seen.pop();
  show(number ? await json("/api/survey/answers", { number, answer: null }) : await json("/api/survey/next"));
}

async function scores() {
  const found = await json("/api/survey/report");
  get("survey-title").textContent = "What the answers come to";
  get("survey-report").textContent = found.words;
  reveal(false);
}
