// The server: what is asked at once, and what is done in order, once each, even if the server is away for a while.
import { state, emit } from "./state.js";

const AGAIN = 2000; // milliseconds until a server that was away is asked again
let sending = false, retry = 0;
let queue = [], project = "";
let renew = async () => {};

/** A name for an operation, by which the server knows it again. Not crypto.randomUUID, which plain HTTP may lack. */
export const key = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

export class Refused extends Error {}
/** The server does not answer; the page says so as long as that lasts. */
export class Away extends Error {}

export async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options).catch(() => { away(true); throw new Away("the studio does not answer"); });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const words = typeof said.detail === "string" ? said.detail : "the studio did not understand this; load the page again";
  throw new Refused(sentence(words));
}

export const json = async (path, body) => (await ask(path, body)).json();

/** Words as a sentence. A file that they begin with is called as it is. */
export function sentence(words) {
  if (!words) return "";
  const named = /^[^ ]*\.[a-z0-9]+(\[\d+\])? /i.test(words);
  return (named ? words : words[0].toUpperCase() + words.slice(1)).replace(/\.?$/, ".");
}

/** Say what went wrong; that the server is away is said elsewhere. */
export function complain(error) {
  if (!(error instanceof Away)) emit("refused", error.message);
}

/** Do something in its turn. It is kept until the server has acknowledged it. Returns what the server says of it.
 *  image: that it is done to, whose number is "{image}" in the path: by the time it is sent that may be another one. */
export function operate(path, body, image = null) {
  return new Promise((resolve, reject) => {
    queue.push({ path, image: image && image.path, body: { ...body, id: key() }, resolve, reject });
    keep();
    send();
  });
}

export const waiting = () => queue;

/** Those that wait for this project, from before the page was loaded again. */
export function open(own) {
  if (own === project) return;
  project = own;
  queue = [...JSON.parse(sessionStorage.getItem(place()) || "[]"), ...queue];
}

const place = () => `pixelnet-studio-waiting-${project}`;

function keep() {
  try {
    sessionStorage.setItem(place(), JSON.stringify(queue.map(({ path, image, body }) => ({ path, image, body }))));
  } catch {
    emit("refused", "So much waits that the browser keeps no more of it. Start the studio again before you close this page.");
  }
}

function address({ path, image }) {
  if (!image) return path;
  const found = state.images.find((own) => own.path === image);
  if (found?.number == null) throw new Refused(`${image} is no longer there, so what was painted on it is lost. Put it back, and start the studio again.`);
  return path.replace("{image}", found.number);
}

async function send() {
  if (sending || !project) return;
  sending = true;
  while (queue.length) {
    const own = queue[0];
    try {
      const answer = await json(address(own), own.body);
      queue.shift();
      keep();
      emit("operated", answer);
      own.resolve?.(answer);
    } catch (error) {
      if (error instanceof Away) break;
      queue.shift();
      keep();
      emit("refused", error.message);
      own.reject?.(error);
    }
  }
  sending = false;
}

function away(is) {
  clearTimeout(retry);
  if (is) retry = setTimeout(renew, AGAIN);
  if (state.away !== is || is) { state.away = is; emit("away"); }
}

/** After the server was away, do this, which asks it. */
export function renewBy(begin) {
  renew = async () => {
    try {
      await begin();
      away(false);
      send();
    } catch (error) {
      if (error instanceof Away) return;
      away(false);
      if (error instanceof Refused) complain(error);
      else reportError(error);
    }
  };
}

/** Listen to what changes, each in its turn; after a pause, begin anew with all that the server has. */
export function listen(begin) {
  const events = new EventSource("/api/events");
  let turn = Promise.resolve();
  renewBy(begin);
  events.onmessage = (message) => {
    const event = JSON.parse(message.data);
    turn = turn.then(() => (event.type === "hello" ? renew() : emit("event", event))).catch(reportError);
  };
  events.onerror = () => {
    away(true);
    if (events.readyState === EventSource.CLOSED) setTimeout(() => listen(begin), AGAIN);
  };
}
