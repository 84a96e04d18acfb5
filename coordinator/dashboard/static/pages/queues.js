// Every queue: how many jobs are in which state, its limits, and whether it stands still.

import { post } from "../core/api.js";
import { compact, duration, rateWords } from "../core/format.js";
import { useTitle } from "../core/hooks.js";
import { to } from "../core/router.js";
import { can } from "../core/session.js";
import { useQueues } from "../core/shared.js";
import { html } from "../core/view.js";
import { Badge, Button, Empty, Loaded, PageHead, Time } from "../parts/bits.js";
import { Table } from "../parts/table.js";
import { attempt } from "../parts/toasts.js";

export function Queues() {
  const queues = useQueues();
  useTitle("Queues");
  return html`
    <${PageHead} title="Queues" />
    <${Loaded} of=${queues}>
      ${(items) =>
        items.length
          ? html`<${Table} label="Queues" columns=${columnsOf(queues.reload)} rows=${items} keyOf=${(queue) => queue.name} />`
          : html`<${Empty} icon="queues" title="There is no queue yet">A queue begins with its first job.</${Empty}>`}
    </${Loaded}>
  `;
}

/** Pause or resume a queue, with a way back. */
export async function setPaused(name, isPaused, onDone) {
  const path = (verb) => `/queue/${encodeURIComponent(name)}/${verb}`;
  const [verb, back] = isPaused ? ["pause", "resume"] : ["resume", "pause"];
  const undo = { act: () => post(path(back)).then(onDone) };
  const text = isPaused ? `${name} is paused: what runs goes on, nothing more begins.` : `${name} goes on.`;
  if (await attempt(() => post(path(verb)), { text, undo })) {
    onDone();
  }
}

/** What stands in the way of all jobs of a queue, as badges. */
export const QueueBadges = ({ queue }) => html`
  ${queue.paused && html`<${Badge} state="paused" />`}
  ${queue.blockedUntil && html`<${Badge} state="retrying">blocked</${Badge}>`}
  ${queue.circuits.map(({ worker, openUntil }) => openUntil && html`<${Badge} key=${worker} state="dead">${worker} is down</${Badge}>`)}
`;

function columnsOf(onDone) {
  const number = (state) => ({
    name: state,
    kind: "number",
    cell: (queue) =>
      queue[state] ? html`<a class=${`quiet ${state === "dead" ? "bad" : ""}`} href=${to("jobs", { state, queue: queue.name })}>${compact(queue[state])}</a>` : html`<span class="faint">0</span>`,
  });
  const columns = [
    { name: "Queue", kind: "main", cell: (queue) => html`<a href=${to(["queues", queue.name])}>${queue.name}</a> <${QueueBadges} queue=${queue} />` },
    ...["queued", "scheduled", "retrying", "running", "succeeded", "dead"].map(number),
    { name: "Oldest due", kind: "number", cell: (queue) => (queue.latencyMs ? duration(queue.latencyMs) : html`<span class="faint">–</span>`) },
    { name: "Limits", kind: "note", cell: (queue) => html`<span class="faint">${limitsOf(queue)}</span>${queue.blockedUntil && html` until <${Time} at=${queue.blockedUntil} />`}` },
  ];
  if (can("manage")) {
    columns.push({
      name: "",
      kind: "end",
      cell: (queue) => html`
        <${Button} kind="small" icon=${queue.paused ? "play" : "pause"} onClick=${() => setPaused(queue.name, !queue.paused, onDone)}>${queue.paused ? "Resume" : "Pause"}</${Button}>
      `,
    });
  }
  return columns;
}

function limitsOf(queue) {
  const words = [
    queue.concurrency && `${queue.concurrency} at a time`,
    queue.rate && rateWords(queue.rate),
    queue.perKey.concurrency && `${queue.perKey.concurrency} per key`,
    queue.perKey.rate && `${rateWords(queue.perKey.rate)} per key`,
  ].filter(Boolean);
  return words.join("; ") || "none";
}
