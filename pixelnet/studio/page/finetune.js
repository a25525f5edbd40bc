// The network itself learns: begin, see how far it is, stop; and who answers afterwards.
import { complain, json, sentence } from "./api.js";
import { learnt } from "./panel.js";
import { on, state } from "./state.js";
import { element } from "./tools.js";

const get = (id) => document.getElementById(id);
const asked = async (path, body) => { try { await json(path, body); } catch (error) { complain(error); } };

export function openFinetune() {
  if (state.finetune.running || !learnt()) return;
  get("finetune-dialog").showModal();
}

export function makeFinetune() {
  get("finetune").onclick = openFinetune;
  get("finetune-stop").onclick = () => asked("/api/finetune/cancel", {});
  get("finetune-dialog").querySelector("form").onsubmit = (event) => {
    asked("/api/finetune", { minutes: Number(new FormData(event.target).get("minutes")) });
  };
  get("by").replaceChildren(...[["Fit", false, "Follows every stroke"], ["Network", true, "Has learnt itself"]].map(([words, network, title]) =>
    element("label", { title }, element("input", { type: "radio", name: "by", value: network, onchange: () => asked("/api/answer-by", { network }).then(show) }), words)));
  on("finetune", show);
  on("learner", show);
}

function show() {
  const own = state.finetune;
  get("finetune").disabled = Boolean(own.running) || !state.learner.answers;
  get("finetune-progress").hidden = get("finetune-stop").hidden = !own.running;
  if (own.done) get("finetune-progress").value = own.done;
  else get("finetune-progress").removeAttribute("value");
  get("finetune-words").textContent = sentence(own.words);
  get("by-row").hidden = !state.learner.refined;
  for (const radio of get("by").querySelectorAll("input")) radio.checked = (radio.value === "true") === Boolean(state.learner.by_network);
}
