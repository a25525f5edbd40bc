// The page of a survey alone, which `pixelnet measure label` opens.
import { complain, renewBy } from "./api.js";
import { front, toast } from "./notices.js";
import { on, state } from "./state.js";
import { makeSurvey, resume } from "./survey.js";

const get = (id) => document.getElementById(id);

makeSurvey(get("survey"), () => {});
// Keys are for the survey wherever the focus is: there is nothing else on this page.
document.addEventListener("keydown", (event) => {
  if (!get("survey").contains(event.target)) get("survey").dispatchEvent(new KeyboardEvent("keydown", event));
});
on("refused", toast);
on("away", () => { front("away").hidden = !state.away; });
renewBy(resume);
resume().catch(complain);
