// One queue: what it holds, what limits it, whose circuit is open, and the keys that take turns in it.

import { post, put, read, remove } from "../core/api.js";
import { compact, count, duration, plural, rateWords } from "../core/format.js";
import { useLoad, useTitle } from "../core/hooks.js";
import { go, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, ButtonLink, Empty, Facts, Loaded, Meter, Panel, STATES, Time } from "../parts/bits.js";
import { confirm, open } from "../parts/dialogs.js";
import { Table } from "../parts/table.js";
import { attempt, toast } from "../parts/toasts.js";
import { QueueForm } from "./queue_form.js";
import { QueueBadges, setPaused } from "./queues.js";

const KEYS_EVERY_MS = 2000;

export function Queue({ route }) {
  const name = route.parts[1];
  const path = `/queue/${encodeURIComponent(name)}`;
  const isOfIt = (event) => event.queue === name && event.type !== "job.progress";
  const queue = useLoad((signal) => read(path, {}, signal), [name], { on: isOfIt });
  const keys = useLoad((signal) => read(`${path}/key`, { limit: 100 }, signal), [name], { on: isOfIt, everyMs: KEYS_EVERY_MS });
  useTitle(name);
  if (queue.problem?.status === 404) {
    return html`<${Empty} icon="queues" title=${`There is no queue ${name}`} isPage><${ButtonLink} href="#/queues">All queues</${ButtonLink}></${Empty}>`;
  }
  return html`
    <${Loaded} of=${queue}>
      ${(found) => html`
        <header class="page-head">
          <div class="page-title">
            <p class="crumbs"><a href="#/queues">Queues</a></p>
            <h1 tabindex="-1">${name}</h1>
            <${QueueBadges} queue=${found} />
          </div>
          ${can("manage") && html`<div class="actions"><${Actions} queue=${found} path=${path} onChanged=${queue.reload} /></div>`}
        </header>
        <${Numbers} queue=${found} />
        <div class="columns">
          <div class="column">
            <${Circuits} queue=${found} />
            <${Panel} title="Keys" aside=${keys.data ? `${plural(keys.data.items.length, "key")}${keys.data.cursor ? " and more" : ""} with jobs waiting` : ""}>
              <${KeyFinder} path=${path} onChanged=${keys.reload} />
              <${Loaded} of=${keys} rows=${3}>${(page) => html`<${Keys} page=${page} queue=${name} path=${path} onChanged=${keys.reload} />`}</${Loaded}>
            </${Panel}>
          </div>
          <aside class="column is-side" aria-label="Settings"><${Settings} queue=${found} /></aside>
        </div>
      `}
    </${Loaded}>
  `;
}

function Actions({ queue, path, onChanged }) {
  const { name, paused } = queue;
  const edit = async () => {
    const body = await open({ title: `Limits of ${name}`, isWide: true, body: (close) => html`<${QueueForm} queue=${queue} onClose=${close} />` });
    if (body && (await attempt(() => put(path, body), "The limits are set."))) {
      onChanged();
    }
  };
  const purge = async () => {
    const number = STATES.filter((state) => state !== "running").reduce((sum, state) => sum + queue[state], 0);
    const text = `${plural(number, "job")}: those that wait are cancelled, those that have ended are erased. Those that run go on.`;
    if (await confirm({ title: `Purge ${name}?`, text, action: `Purge ${plural(number, "job")}` })) {
      const done = await attempt(() => post(`${path}/purge`));
      if (done) {
        toast(`${plural(done.done, "job")} purged${done.more ? "; there are more" : ""}.`);
        onChanged();
      }
    }
  };
  const forget = async () => {
    const text = "Its settings go. It begins anew with its next job.";
    if (await confirm({ title: `Delete the queue ${name}?`, text, action: "Delete" })) {
      if (await attempt(() => remove(path), "The queue is deleted.")) {
        go(to("queues"), { replace: true });
      }
    }
  };
  const isEmpty = STATES.every((state) => !queue[state]);
  return html`
    <${Button} kind="primary" icon=${paused ? "play" : "pause"} onClick=${() => setPaused(name, !paused, onChanged)}>${paused ? "Resume" : "Pause"}</${Button}>
    <${Button} icon="edit" onClick=${edit}>Edit limits</${Button}>
    ${isEmpty ? html`<${Button} icon="trash" kind="quiet-danger" onClick=${forget}>Delete</${Button}>` : html`<${Button} icon="trash" kind="quiet-danger" onClick=${purge}>Purge</${Button}>`}
  `;
}

const Numbers = ({ queue }) => html`
  <div class="tiles is-small">
    ${STATES.map(
      (state) => html`
        <a key=${state} class=${`tile ${state === "dead" && queue.dead ? "is-bad" : ""}`} href=${to("jobs", { queue: queue.name, state })}>
          <span class="tile-name">${state}</span><span class="tile-value">${compact(queue[state])}</span>
          ${state === "queued" && html`<span class="tile-more">${queue.latencyMs ? `oldest for ${duration(queue.latencyMs)}` : "nothing waits"}</span>`}
        </a>
      `,
    )}
  </div>
`;

function Circuits({ queue }) {
  if (!queue.circuits.length) {
    return null;
  }
  const columns = [
    { name: "Worker", kind: "main", cell: ({ worker }) => worker },
    { name: "Circuit", cell: ({ openUntil }) => (openUntil ? html`<${Badge} state="dead">open</${Badge}>` : html`<${Badge} state="retrying">failing</${Badge}>`) },
    { name: "Failures in a row", kind: "number", cell: ({ failures }) => count(failures) },
    { name: "Tried again", kind: "number", cell: ({ openUntil }) => html`<${Time} at=${openUntil} />` },
  ];
  return html`<${Panel} title="Circuits"><${Table} label="Circuits" columns=${columns} rows=${queue.circuits} keyOf=${({ worker }) => worker} /></${Panel}>`;
}

function Keys({ page, queue, path, onChanged }) {
  if (!page.items.length) {
    return html`<p class="pad faint">No key has jobs waiting. Jobs with a <code>key</code> take turns, and each key has limits of its own.</p>`;
  }
  return html`<${Table} label="Keys" columns=${keyColumns(queue, path, onChanged)} rows=${page.items} keyOf=${({ key }) => key} />`;
}

function keyColumns(queue, path, onChanged) {
  const columns = [
    {
      name: "Key",
      kind: "main",
      cell: (key) => html`
        <a href=${to("jobs", { queue, key: key.key })}>${key.key}</a>
        ${key.paused && html` <${Badge} state="paused" />`}
        ${key.blockedUntil && html` <${Badge} state="retrying">blocked</${Badge}>`}
      `,
    },
    { name: "Running", kind: "number", cell: (key) => count(key.running) },
    { name: "Waiting", kind: "number", cell: (key) => count(key.waiting) },
    { name: "Tokens", kind: "wide", cell: (key) => html`<${Tokens} key_=${key} />` },
    { name: "Blocked until", kind: "number", cell: (key) => html`<${Time} at=${key.blockedUntil} />` },
  ];
  if (can("manage")) {
    columns.push({ name: "", kind: "end", cell: (key) => html`<${KeyActions} found=${key} path=${path} onChanged=${onChanged} />` });
  }
  return columns;
}

function Tokens({ key_: { tokens, burst, refillPerSecond } }) {
  if (tokens === null || burst === null) {
    return html`<span class="faint">no rate</span>`;
  }
  return html`
    <div class="tokens" title=${refillPerSecond ? `${refillPerSecond} flow in each second` : ""}>
      <${Meter} percent=${(100 * tokens) / burst} label=${`${Math.floor(tokens)} of ${burst} tokens`} /><span>${Math.floor(tokens)}/${burst}</span>
    </div>
  `;
}

function KeyActions({ found, path, onChanged }) {
  const act = async (verb, text, back) => {
    const at = (word) => `${path}/key/${encodeURIComponent(found.key)}/${word}`;
    const undo = back && { act: () => post(at(back)).then(onChanged) };
    if (await attempt(() => post(at(verb)), { text, undo })) {
      onChanged();
    }
  };
  return html`
    <span class="row-acts">
      ${found.paused
        ? html`<${Button} kind="small" icon="play" onClick=${() => act("resume", `${found.key} goes on.`, "pause")}>Resume</${Button}>`
        : html`<${Button} kind="small" icon="pause" onClick=${() => act("pause", `${found.key} is paused.`, "resume")}>Pause</${Button}>`}
      <${Button} kind="small" icon="retry" onClick=${() => act("reset", `${found.key} is free: a full bucket, no block.`)}>Reset</${Button}>
    </span>
  `;
}

/** A key that has nothing waiting is in no list, but can be looked at. */
function KeyFinder({ path, onChanged }) {
  const [text, setText] = useState("");
  const [key, setKey] = useState(null);
  const look = async (event) => {
    event?.preventDefault();
    const found = text.trim() && (await attempt(() => read(`${path}/key/${encodeURIComponent(text.trim())}`)));
    setKey(found || null);
  };
  const changed = () => {
    void look();
    onChanged();
  };
  return html`
    <form class="key-finder" onSubmit=${look}>
      <input type="text" aria-label="Look at a key" placeholder="Look at a key" value=${text} onInput=${(event) => setText(event.target.value)} autocomplete="off" autocapitalize="none" spellcheck=${false} />
      <${Button} kind="small" type="submit" disabled=${!text.trim()}>Look</${Button}>
    </form>
    ${key && html`
      <div class="key-found" role="status">
        <b>${key.key}</b> ${key.paused && html`<${Badge} state="paused" />`}
        <span class="faint">${count(key.running)} running, ${count(key.waiting)} waiting${key.blockedUntil ? ", blocked" : ""}</span>
        <${Tokens} key_=${key} />
        ${can("manage") && html`<${KeyActions} found=${key} path=${path} onChanged=${changed} />`}
      </div>
    `}
  `;
}

const Running = ({ queue: { running, concurrency } }) => html`
  ${count(running)} of ${count(concurrency)} run <${Meter} percent=${(100 * running) / concurrency} label="Jobs that run, of those that may" />
`;

const Settings = ({ queue }) => html`
  <${Panel} title="Limits">
    <${Facts}
      items=${[
        ["At a time", queue.concurrency === null ? "no limit" : html`<${Running} queue=${queue} />`],
        ["Rate", rateWords(queue.rate)],
        ["Each key", [queue.perKey.concurrency && `${queue.perKey.concurrency} at a time`, queue.perKey.rate && rateWords(queue.perKey.rate)].filter(Boolean).join("; ") || "no limit"],
        ["May wait", `${compact(queue.maxWaiting)} jobs`],
        ["Circuit", queue.circuit ? `opens after ${plural(queue.circuit.failures, "failure")} for ${duration(queue.circuit.openMs)}` : "never opens"],
        ["Blocked", queue.blockedUntil && html`<${Time} at=${queue.blockedUntil} />`],
        ["Owner", queue.owner],
      ]}
    />
  </${Panel}>
  <${Panel} title="Jobs have, if they name none">
    <${Facts}
      items=${[
        ["Attempts", queue.defaults.maxAttempts === null ? "10" : String(queue.defaults.maxAttempts)],
        ["Time-out", duration(queue.defaults.timeoutMs ?? 900_000)],
        ["Backoff", queue.defaults.backoff ? `${queue.defaults.backoff.type}, from ${duration(queue.defaults.backoff.baseMs)}` : "exponential, from 15 s"],
      ]}
    />
  </${Panel}>
  <${Panel} title="What has ended is kept">
    <${Facts} items=${Object.entries(queue.retention).map(([state, { ageMs, count: most }]) => [state, `${duration(ageMs)}, ${compact(most)} at the most`])} />
  </${Panel}>
`;
