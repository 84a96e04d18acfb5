// The public API, as any other program uses it. What it refuses is thrown as a `Problem`, with its own words.

import { parse } from "./json.js";

const ROOT = new URL("../../", import.meta.url);

/** What the API, or the way to it, says against a request. `status` is 0 where there was no answer. */
export class Problem extends Error {
  constructor(status, body) {
    super(wordsOf(status, body));
    this.status = status;
    this.code = body.code ?? "";
  }
}

function wordsOf(status, body) {
  const said = body.detail ?? `The coordinator answered ${status}.`;
  const parts = (body.errors ?? []).map((error) => `${error.path ?? error.field ?? ""} ${error.message ?? ""}`.trim());
  return parts.length && !parts.every((part) => said.includes(part)) ? `${said} ${parts.join("; ")}` : said;
}

let signedOut = () => {};

/** What is done when the session turns out to have ended. */
export function onSignedOut(act) {
  signedOut = act;
}

let skewMs = 0;

/** Now, by the store's clock, in Unix ms: relative times are right on a machine whose clock is not. */
export const now = () => Date.now() + skewMs;

/** The address of a path of the API. */
export function urlOf(path, query = {}) {
  const url = new URL(path.replace(/^\//, ""), ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") {
      url.searchParams.set(name, value);
    }
  }
  return url;
}

/** Ask for JSON. */
export async function ask(method, path, { query, body, headers, signal } = {}) {
  const answer = await send(method, path, { query, body, headers, signal });
  return answer.status === 204 ? null : parse(await answer.text());
}

export const read = (path, query, signal) => ask("GET", path, { query, signal });
export const post = (path, body, query) => ask("POST", path, { body, query });
export const put = (path, body) => ask("PUT", path, { body });
export const patch = (path, body) => ask("PATCH", path, { body });
export const remove = (path, query) => ask("DELETE", path, { query });

/** Ask for lines of JSON; `onLine` gets each as it comes. Where the answer is one object, it is the one line. */
export async function stream(path, body, { signal, onLine }) {
  const answer = await send("POST", path, { body, headers: { accept: "application/x-ndjson" }, signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop();
    for (const line of lines.filter((text) => text.trim())) {
      const said = parse(line);
      if (said.problem) {
        throw new Problem(said.problem.status ?? 500, said.problem);
      }
      onLine(said);
    }
    if (done) {
      return;
    }
  }
}

async function send(method, path, { query, body, headers = {}, signal }) {
  const request = { method, headers: { ...headers }, cache: "no-store", signal };
  if (body !== undefined) {
    request.headers["content-type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(urlOf(path, query), request);
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    throw new Problem(0, { detail: "The coordinator does not answer. Is it running?" });
  }
  heedClock(answer);
  if (!answer.ok) {
    const isJson = /[/+]json\b/.test(answer.headers.get("content-type") ?? "");
    const problem = new Problem(answer.status, isJson ? await answer.json().catch(() => ({})) : {});
    if (answer.status === 401 && path !== "/session") {
      signedOut();
    }
    throw problem;
  }
  return answer;
}

function heedClock(answer) {
  const told = Date.parse(answer.headers.get("date") ?? "");
  const off = told - Date.now();
  // The header tells whole seconds: less than two is no difference.
  skewMs = Number.isFinite(told) && Math.abs(off) > 2000 ? off : 0;
  // `coordinator dev` can be moved on. What a proxy has made no number of is none.
  skewMs += Number(answer.headers.get("clock-ahead")) || 0;
}
