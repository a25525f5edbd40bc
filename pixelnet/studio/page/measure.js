// Measuring the model of the studio: pixels are drawn by chance, and then asked for.
import { Refused, complain, json, sentence } from "./api.js";
import { learnt } from "./panel.js";
import { on, state } from "./state.js";
import { alone, makeSurvey, show } from "./survey.js";
import { element } from "./tools.js";

const get = (id) => document.getElementById(id);
let planning = false;

/** Go on with the survey that there is; begin one where there is none. */
export function openMeasure() {
  if (state.survey.running || !learnt()) return;
  alone(async () => {
    try { await show(await json("/api/survey/next")); } catch (error) {
      if (!(error instanceof Refused)) throw error;
      get("measure-dialog").showModal();
    }
  });
}

export function makeMeasure() {
  const dialog = get("survey-dialog");
  makeSurvey(get("survey"), () => { if (!dialog.open) dialog.showModal(); get("survey-words").textContent = ""; },
    element("button", { className: "with-scores", hidden: true, onclick: () => { dialog.close(); get("measure-dialog").showModal(); } }, "Measure again…"),
    element("span", { className: "gap" }), element("button", { id: "survey-close", className: "primary", onclick: () => dialog.close() }, "Close"));
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
