// The server: what is asked at once, and what is done in order, once each, even if the server is away for a while.
import { state, emit } from "./state.js";

const WAITING = "pixelnet-studio-waiting";
let sending = false;
let queue = JSON.parse(sessionStorage.getItem(WAITING) || "[]").filter((own) => own.folder);

/** A name for an operation, by which the server knows it again. Not crypto.randomUUID, which plain HTTP may lack. */
export const key = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

export class Refused extends Error {}

export async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const words = typeof said.detail === "string" ? said.detail : "the studio did not understand this; load the page again";
  throw new Refused(words[0].toUpperCase() + words.slice(1) + ".");
}

export const json = async (path, body) => (await ask(path, body)).json();

/** Do something in its turn. It is kept until the server has acknowledged it. Returns what the server says of it. */
export function operate(path, body) {
  return new Promise((resolve, reject) => {
    queue.push({ path, body: { ...body, id: key() }, folder: state.folder, resolve, reject });
    keep();
    send();
  });
}

export const waiting = () => queue.length;

function keep() {
  sessionStorage.setItem(WAITING, JSON.stringify(queue.map(({ path, body, folder }) => ({ path, body, folder }))));
}

async function send() {
  if (sending) return;
  sending = true;
  while (queue.length) {
    const own = queue[0];
    if (own.folder !== state.folder) { queue.shift(); continue; }
    try {
      const answer = await json(own.path, own.body);
      queue.shift();
      keep();
      emit("operated", answer);
      own.resolve?.(answer);
    } catch (error) {
      if (!(error instanceof Refused)) { away(true); break; }
      queue.shift();
      keep();
      emit("refused", error.message);
      own.reject?.(error);
    }
  }
  sending = false;
}

function away(is) {
  if (state.away !== is || is) { state.away = is; emit("away"); }
}

/** Listen to what changes; after a pause, begin anew with all that the server has. */
export function listen(begin) {
  const events = new EventSource("/api/events");
  events.onmessage = async (message) => {
    const event = JSON.parse(message.data);
    if (event.type !== "hello") return emit("event", event);
    await begin();
    away(false);
    send();
  };
  events.onerror = () => {
    away(true);
    if (events.readyState === EventSource.CLOSED) { setTimeout(() => listen(begin), 2000); }
  };
}
