// Measuring the model: pixels drawn by chance, one after the other, and what the answers come to.
import { json } from "./api.js";
import { emit, on, state } from "./state.js";
import { element } from "./tools.js";

const get = (id) => document.getElementById(id);
const seen = []; // numbers of the samples that were looked at, the last one on top
let current = null, planning = false;

/** Go on with the survey that there is; begin one where there is none. */
export async function openMeasure() {
  if (state.survey.running) return;
  try { show(await json("/api/survey/next")); } catch { get("measure-dialog").showModal(); }
}

export function makeSurvey() {
  get("measure").onclick = openMeasure;
  get("measure-dialog").querySelector("form").onsubmit = async (event) => {
    if (event.submitter?.value !== "go") return;
    try {
      await json("/api/survey", { budget: Number(new FormData(event.target).get("budget")) });
      planning = true;
    } catch (error) { emit("refused", error.message); }
  };
  get("survey-back").onclick = back;
  get("survey-scores").onclick = scores;
  get("survey-close").onclick = () => get("survey-dialog").close();
  get("survey-dialog").onkeydown = (event) => {
    const keys = event.key === "?" ? -1 : Number(event.key) - 1;
    const button = [...get("survey-choices").children].find((own) => Number(own.dataset.place) === keys);
    if (button) { event.preventDefault(); button.click(); }
  };
  on("survey", told);
}

function told() {
  const { words, running } = state.survey;
  get("survey-words").textContent = words && `${words[0].toUpperCase()}${words.slice(1)}.`;
  get("measure").disabled = Boolean(running);
  if (planning && !running && !words) { planning = false; openMeasure(); }
}

function show(sample) {
  current = sample.open ? sample : null;
  if (!current) { scores(); return; }
  get("survey-title").textContent = "What is in the ring?";
  get("survey-place").textContent = `${sample.done} of ${sample.all} answered · ${sample.image}`;
  get("survey-crop").src = `/api/survey/${sample.number}/crop`;
  const choices = [...sample.choices.map((name, place) => [name, place]), ["Cannot tell", -1]];
  get("survey-choices").replaceChildren(...choices.map(([name, place]) => element("button", { "data-place": String(place), onclick: () => answer(place < 0 ? "?" : name) },
    name, element("kbd", {}, place < 0 ? "?" : String(place + 1)))));
  reveal(true);
}

function reveal(asking) {
  for (const id of ["survey-crop", "survey-choices", "survey-place"]) get(id).hidden = !asking;
  get("survey-report").hidden = asking;
  get("survey-back").disabled = asking && !seen.length;
  if (!get("survey-dialog").open) get("survey-dialog").showModal();
  if (asking) get("survey-choices").firstChild.focus();
}

async function answer(words) {
  const { number } = current;
  try {
    await json("/api/survey/answers", { number, answer: words });
    seen.push(number);
    show(await json(`/api/survey/next?after=${number}`));
  } catch (error) { emit("refused", error.message); }
}

/** Take the last answer back, and ask again. */
async function back() {
  const number = seen.pop();
  try {
    show(number ? await json("/api/survey/answers", { number, answer: null }) : await json("/api/survey/next"));
  } catch (error) { emit("refused", error.message); }
}

async function scores() {
  try {
    const found = await json("/api/survey/report");
    get("survey-title").textContent = "What the answers come to";
    get("survey-report").textContent = `${found.words}\n\nA page of it: ${found.page}`;
    reveal(false);
  } catch (error) { emit("refused", error.message); }
}
