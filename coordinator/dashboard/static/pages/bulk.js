// One act on many jobs: on those that were picked, or on all that the filter finds, which the server does by itself.

import { patch, post, Problem, remove, stream } from "../core/api.js";
import { count, plural } from "../core/format.js";
import { isHeld } from "../core/session.js";
import { html, useEffect, useState } from "../core/view.js";
import { Button, Meter, WAITING } from "../parts/bits.js";
import { open } from "../parts/dialogs.js";
import { TextField } from "../parts/fields.js";
import { attempt, toast } from "../parts/toasts.js";

const MOST = 1_000_000;
const AT_ONCE = 6;

/** What can be done, to jobs of which states, and what it is called. */
export const ACTS = {
  retry: { title: "Retry", icon: "retry", states: ["dead", "cancelled"], done: "tried anew" },
  run: { title: "Run now", ofAll: "Run all now", icon: "play", states: ["scheduled", "retrying"], done: "made due" },
  edit: { title: "Edit", icon: "edit", states: WAITING, done: "changed" },
  cancel: { title: "Cancel", icon: "close", states: [...WAITING, "running"], done: "cancelled", isDangerous: true },
  delete: { title: "Delete", icon: "trash", states: [...WAITING, "succeeded", "dead", "cancelled"], done: "deleted", isDangerous: true },
};

/** Stands beside the filters while these find jobs, and at the bottom of the window while some are picked. */
export function BulkBar({ filter, picked, rows, onDone }) {
  if (!rows.length) {
    return null;
  }
  const number = picked.size;
  const states = number ? new Set([...picked.values()].map(({ state }) => state)) : filter.state ? new Set([filter.state]) : null;
  const acts = Object.entries(ACTS).filter(([, act]) => !states || act.states.some((state) => states.has(state)));
  const start = async (name) => {
    const fields = name === "edit" ? await askFields() : undefined;
    if (fields === null) {
      return;
    }
    const isDone = number ? await actOnPicked(name, [...picked.values()], fields) : await actOnAll(name, filter, fields);
    if (isDone) {
      onDone();
    }
  };
  return html`
    <div class=${`bulk ${number ? "is-picked" : ""}`} role="region" aria-label="Do something with many jobs">
      <span class="bulk-what">${number ? plural(number, "job") : "All that match"}</span>
      ${acts.map(
        ([name, { title, ofAll = `${title} all`, icon, isDangerous }]) => html`
          <${Button} key=${name} icon=${icon} kind=${isDangerous ? "small quiet-danger" : "small"} onClick=${() => start(name)}>${number ? title : ofAll}</${Button}>
        `,
      )}
      ${number > 0 && html`<${Button} kind="small bare" onClick=${onDone}>Pick none</${Button}>`}
    </div>
  `;
}

/** Do it to each of these jobs; there is no filter that finds just them. */
async function actOnPicked(name, jobs, fields) {
  const meant = jobs.filter(({ state }) => ACTS[name].states.includes(state));
  if (ACTS[name].isDangerous && !(await sure(name, plural(meant.length, "job")))) {
    return false;
  }
  return progress(`${ACTS[name].title}: ${plural(meant.length, "job")}`, ACTS[name].done, meant.length, async ({ signal, onLine }) => {
    const left = [...meant];
    const told = { matched: 0, done: 0 };
    const problems = [];
    const work = async () => {
      for (let job = left.shift(); job && !signal.aborted; job = left.shift()) {
        try {
          await actOnOne(name, job, fields);
          told.done += 1;
        } catch (problem) {
          problems.push(problem);
        }
        told.matched += 1;
        onLine(told);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (problems.length) {
      throw new Problem(409, { detail: `${problems.length} of them refused it, the first because: ${problems[0].message}` });
    }
  });
}

function actOnOne(name, { id }, fields) {
  const path = `/job/${encodeURIComponent(id)}`;
  switch (name) {
    case "delete":
      return remove(path);
    case "edit":
      return patch(path, fields);
    default:
      return post(`${path}/${name}`);
  }
}

/** Have the server do it to all that the filter finds. */
export async function actOnAll(name, filter, fields) {
  const body = { action: name, filter, all: !Object.keys(filter).length, ...(fields && { set: fields }) };
  if (isHeld() && !filter.queue) {
    toast("Choose a queue first: this token is for some queues only.", { isProblem: true });
    return false;
  }
  const counted = await attempt(() => counting(body));
  if (!counted) {
    return false;
  }
  if (!counted.matched) {
    toast(`Nothing here can be ${ACTS[name].done}.`);
    return false;
  }
  if (!(await sure(name, plural(counted.matched, "job")))) {
    return false;
  }
  return progress(`${ACTS[name].title}: ${plural(counted.matched, "job")}`, ACTS[name].done, counted.matched, (heard) =>
    stream("/job/bulk", { ...body, limit: MOST }, heard),
  );
}

async function counting(body) {
  let last = { matched: 0 };
  await stream("/job/bulk", { ...body, limit: MOST, dryRun: true }, { onLine: (line) => (last = line) });
  return last;
}

function sure(name, what) {
  const { title, isDangerous } = ACTS[name];
  const warning = { delete: "What is erased is gone for good; what waits is cancelled.", cancel: "Those that run are asked to stop." };
  const body = (close) => html`
    <p>${`${title} ${what}?`} ${warning[name] ?? ""}</p>
    <footer class="dialog-foot">
      <${Button} onClick=${() => close(null)}>Leave them</${Button}>
      <${Button} kind=${isDangerous ? "danger" : "primary"} onClick=${() => close(true)} autofocus>${`${title} ${what}`}</${Button}>
    </footer>
  `;
  return open({ title: `${title} jobs`, body });
}

/** Show how far it is while it is done, with a button that stops it. Resolves to true when anything was done. */
async function progress(title, word, total, work) {
  const stop = new AbortController();
  let last = { matched: 0, done: 0 };
  let tell = () => {};
  const heard = {
    signal: stop.signal,
    onLine: (line) => {
      last = { ...line };
      tell(last);
    },
  };
  let finish = () => {};
  const dialog = open({
    title,
    body: (close) => {
      finish = close;
      return html`<${Progress} total=${total} word=${word} heed=${(to) => (tell = to)} first=${last} onStop=${() => stop.abort()} />`;
    },
  });
  void dialog.then(() => stop.abort());
  try {
    await work(heard);
    toast(`${plural(last.done, "job")} ${word}.`);
  } catch (problem) {
    if (problem.name === "AbortError") {
      toast(`Stopped: ${plural(last.done, "job")} ${word}.`);
    } else {
      toast(problem.message, { isProblem: true });
    }
  }
  finish(null);
  return true;
}

function Progress({ total, word, heed, first, onStop }) {
  const [line, setLine] = useState(first);
  const [isStopping, setStopping] = useState(false);
  useEffect(() => heed(setLine), []);
  return html`
    <${Meter} percent=${total ? (100 * line.matched) / total : 0} label=${`${word}, of ${total}`} />
    <p aria-live="polite">${count(line.done)} of ${count(total)} ${word}</p>
    <footer class="dialog-foot">
      <${Button} icon="stop" disabled=${isStopping} onClick=${() => {
        setStopping(true);
        onStop();
      }}>Stop</${Button}>
    </footer>
  `;
}

/** What to change in each. Resolves to a body of PATCH, or null. */
function askFields() {
  return open({ title: "Edit jobs", body: (close) => html`<${EditFields} onClose=${close} />` });
}

function EditFields({ onClose }) {
  const [fields, setFields] = useState({});
  const set = (name) => (value) => setFields({ ...fields, [name]: value });
  const submit = (event) => {
    event.preventDefault();
    const given = Object.entries(fields).filter(([, value]) => value.trim());
    const read = { priority: Number, maxAttempts: Number, tags: (text) => text.split(/[\s,]+/).filter(Boolean) };
    onClose(given.length ? Object.fromEntries(given.map(([name, text]) => [name, read[name]?.(text) ?? text.trim()])) : null);
  };
  return html`
    <form class="form" onSubmit=${submit}>
      <p class="faint is-wide">What is left empty stays as it is.</p>
      <${TextField} label="Priority" hint="0 first, 9 last" type="number" min="0" max="9" value=${fields.priority} onChange=${set("priority")} />
      <${TextField} label="Attempts at the most" type="number" min="1" max="100" value=${fields.maxAttempts} onChange=${set("maxAttempts")} />
      <${TextField} label="Key" value=${fields.key} onChange=${set("key")} />
      <${TextField} label="Tags" hint="words, instead of those it has" value=${fields.tags} onChange=${set("tags")} />
      <${TextField} label="Run after" hint="a delay from now: 10m, 2h" value=${fields.delay} onChange=${set("delay")} />
      <footer class="dialog-foot is-wide">
        <${Button} onClick=${() => onClose(null)}>Leave them</${Button}>
        <button class="button primary" type="submit"><span>Go on</span></button>
      </footer>
    </form>
  `;
}
