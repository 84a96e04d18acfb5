// What happens, as it happens: one event stream while the tab is seen, and where there is none, a look every 5 s.
// It tells that something has changed, and what; who shows it reads it anew from the API.

import { urlOf } from "./api.js";

const POLL_MS = 5000;
const RETRY_MS = 30_000;
const SILENCE_MS = 45_000;
const STREAMS_MOST = 2;

/** Names that the server gives to events: a browser hands over only those that were asked for. */
const TYPES = [
  ...["created", "queued", "started", "progress", "retrying", "succeeded", "dead", "cancelled", "deleted"].map(
    (name) => `job.${name}`,
  ),
  "schedule.ticked",
  "schedule.skipped",
  "queue.paused",
  "queue.resumed",
  "queue.changed",
  "circuit.opened",
  "circuit.closed",
];

const listeners = new Set();
const watchers = new Set();
let sources = [];
let queues = [];
let timer = 0;
let lastHeard = 0;
let mode = "off";

/** How it is known what happens: `off`, `live` or `polling`. */
export const modeNow = () => mode;

/** Be told of events `{type, …}`; of `{type: "look"}` when anything may have changed. Returns what ends it. */
export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Be told of a new mode. */
export function watchMode(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Begin. `held` are the queues that the token is for; none means all. */
export function begin(held) {
  queues = held;
  document.addEventListener("visibilitychange", heedVisibility);
  heedVisibility();
}

/** End, as when somebody signs out. */
export function end() {
  document.removeEventListener("visibilitychange", heedVisibility);
  close();
  setMode("off");
}

function heedVisibility() {
  close();
  if (document.visibilityState === "hidden") {
    setMode("off");
    return;
  }
  open();
  tell({ type: "look" });
}

function open() {
  setMode("polling");
  lastHeard = Date.now();
  timer = setInterval(beat, POLL_MS);
  if (hasStream(queues)) {
    sources = (queues.length ? queues : [undefined]).map(listen);
  }
}

/** A token for some queues names one with each stream; `mail-*` is none, and a browser has six connections for all. */
export const hasStream = (held) => held.length <= STREAMS_MOST && !held.some((name) => name.endsWith("*"));

function listen(queue) {
  const source = new EventSource(urlOf("/event", { queue }));
  const heed = (event) => {
    lastHeard = Date.now();
    setMode("live");
    tell(JSON.parse(event.data));
  };
  source.addEventListener("hello", () => {
    lastHeard = Date.now();
    setMode("live");
    tell({ type: "look" });
  });
  source.addEventListener("gap", () => tell({ type: "look" }));
  for (const type of TYPES) {
    source.addEventListener(type, heed);
  }
  source.addEventListener("error", () => {
    setMode("polling");
    // Refused for good (no such path, too many streams): the browser tries no more, so we do, but seldom.
    if (source.readyState === EventSource.CLOSED) {
      // Why, the next that is read will tell: the session may have ended.
      tell({ type: "look" });
      setTimeout(() => {
        if (sources.includes(source)) {
          sources = sources.map((old) => (old === source ? listen(queue) : old));
        }
      }, RETRY_MS);
    }
  });
  return source;
}

function beat() {
  // Comments keep a stream open but are not told of: one that is silent for long is only asked more seldom.
  if (mode !== "live" || Date.now() - lastHeard > SILENCE_MS) {
    lastHeard = Date.now();
    tell({ type: "look" });
  }
}

function close() {
  clearInterval(timer);
  for (const source of sources) {
    source.close();
  }
  sources = [];
}

function tell(event) {
  for (const listener of [...listeners]) {
    listener(event);
  }
}

function setMode(next) {
  if (next !== mode) {
    mode = next;
    for (const watcher of [...watchers]) {
      watcher(mode);
    }
  }
}
