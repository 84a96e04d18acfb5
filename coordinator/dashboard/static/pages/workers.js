// Where the functions are, how they fare, and whether they answer.

import { post, read, remove } from "../core/api.js";
import { count, duration, errorLine, plural } from "../core/format.js";
import { useLoad, useTitle } from "../core/hooks.js";
import { can } from "../core/session.js";
import { useQueues, useWorkers } from "../core/shared.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Empty, Loaded, Meter, PageHead, Time } from "../parts/bits.js";
import { confirm, open } from "../parts/dialogs.js";
import { Table } from "../parts/table.js";
import { attempt, toast } from "../parts/toasts.js";
import { pathOf, WorkerForm } from "./worker_form.js";

const STAT_EVERY_MS = 5000;
/** Such a worker is told without its headers, secrets, auth and batch: a form of it would save that there are none. */
const UNREADABLE = "It is not called: it is of another version, or its key is missing. Editing it would lose what is not shown: register it anew.";

export function Workers() {
  const workers = useWorkers();
  const queues = useQueues();
  const stat = useLoad((signal) => read("/stat", { minutes: 60 }, signal), [], { everyMs: STAT_EVERY_MS });
  useTitle("Workers");
  const add = () => ask(undefined, workers.reload);
  return html`
    <${PageHead} title="Workers">${can("admin") && html`<${Button} icon="plus" onClick=${add}>Register</${Button}>`}</${PageHead}>
    <${Loaded} of=${workers}>
      ${(items) => {
        const rows = rowsOf(items, stat.data, queues.data ?? []);
        return rows.length
          ? html`<${Table} label="Workers" columns=${columnsOf(workers.reload)} rows=${rows} keyOf=${({ name }) => name} />`
          : html`
              <${Empty} icon="workers" title="No worker is registered">
                <p>Tell the coordinator where your functions are: one URL for all (<code>*</code>), or one for each.</p>
                ${can("admin") && html`<${Button} kind="primary" icon="plus" onClick=${add}>Register</${Button}>`}
              </${Empty}>
            `;
      }}
    </${Loaded}>
  `;
}

/** Ask for the settings of a worker: of this one, or of a new one. */
async function ask(worker, onDone) {
  const title = worker ? `Settings of ${worker.name}` : "Register a worker";
  const name = await open({ title, isWide: true, body: (close) => html`<${WorkerForm} worker=${worker} onClose=${close} />` });
  if (name) {
    toast(worker ? `${name} is changed.` : `${name} is registered.`);
    onDone();
  }
}

/** Registered workers, and names that have been called lately and are served by the entry point. */
function rowsOf(items, stat, queues) {
  const circuits = queues.flatMap((queue) => queue.circuits.map((circuit) => ({ ...circuit, queue: queue.name })));
  const called = stat?.workers ?? [];
  const names = new Set([...items.map(({ name }) => name), ...called.map(({ name }) => name)]);
  return [...names].sort().map((name) => ({
    name,
    worker: items.find((one) => one.name === name),
    stat: called.find((one) => one.name === name),
    circuits: circuits.filter((circuit) => circuit.worker === name),
  }));
}

function columnsOf(onDone) {
  const columns = [
    {
      name: "Worker",
      kind: "main",
      cell: ({ name, worker }) => html`
        <b>${name}</b>
        <span class="under faint">${worker ? worker.url : "served by the entry point"}</span>
      `,
    },
    {
      name: "Last hour",
      kind: "wide",
      cell: ({ stat }) => {
        const calls = stat ? stat.succeeded + stat.failed : 0;
        return calls
          ? html`<div class="tokens"><${Meter} percent=${(100 * stat.succeeded) / calls} label="Attempts that succeeded" tone=${stat.failed * 10 > calls ? "bad" : "good"} /><span>${((100 * stat.succeeded) / calls).toFixed(1)} %</span></div><span class="under faint">${count(calls)} calls</span>`
          : html`<span class="faint">no calls</span>`;
      },
    },
    { name: "Run time", kind: "number", cell: ({ stat }) => (stat?.runP50Ms === null || !stat ? html`<span class="faint">–</span>` : html`p50 ${duration(stat.runP50Ms)}<span class="under faint">p95 ${duration(stat.runP95Ms)}</span>`) },
    {
      name: "Circuit",
      cell: ({ circuits }) =>
        circuits.length
          ? circuits.map((one) =>
              one.openUntil
                ? html`<${Badge} key=${one.queue} state="dead">open</${Badge}> <span class="faint">in ${one.queue}, tried again <${Time} at=${one.openUntil} /></span>`
                : html`<${Badge} key=${one.queue} state="retrying">${one.failures} failures</${Badge}> <span class="faint">in ${one.queue}</span>`,
            )
          : html`<span class="faint">closed</span>`,
    },
    {
      name: "Settings",
      kind: "note",
      cell: ({ worker }) => html`
        <span class="faint">${worker ? settingsOf(worker) : ""}</span>
        ${worker?.unreadable && html`<span class="under">${UNREADABLE}</span>`}
      `,
    },
  ];
  if (can("manage")) {
    columns.push({ name: "", kind: "end", cell: (row) => html`<${Acts} row=${row} onDone=${onDone} />` });
  }
  return columns;
}

function settingsOf(worker) {
  return [
    worker.ack === "response" && "no receipts",
    worker.timeoutMs && `time-out ${duration(worker.timeoutMs)}`,
    worker.queue && `queue ${worker.queue}`,
    worker.secret && "signed",
    worker.auth && worker.auth.type,
    worker.batch && `${worker.batch.size} in a call`,
    Object.keys(worker.headers).length > 0 && plural(Object.keys(worker.headers).length, "header"),
  ]
    .filter(Boolean)
    .join(", ");
}

function Acts({ row: { name, worker }, onDone }) {
  const [answer, setAnswer] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const ping = async () => {
    setBusy(true);
    try {
      setAnswer(await post(`${pathOf(name)}/ping`));
    } catch (problem) {
      toast(problem.message, { isProblem: true });
    }
    setBusy(false);
  };
  const forget = async () => {
    const text = "Jobs for it fail, or go to the entry point, until it is registered again.";
    if ((await confirm({ title: `Delete the worker ${name}?`, text, action: "Delete" })) && (await attempt(() => remove(pathOf(name)), `${name} is deleted.`))) {
      onDone();
    }
  };
  return html`
    <span class="row-acts">
      <${Button} kind="small" icon="bolt" disabled=${isBusy} onClick=${ping}>${isBusy ? "Asking…" : "Ping"}</${Button}>
      ${can("admin") && worker && !worker.unreadable && html`<${Button} kind="small bare" icon="edit" label=${`Edit ${name}`} onClick=${() => ask(worker, onDone)} />`}
      ${can("admin") && worker && html`<${Button} kind="small bare" icon="trash" label=${`Delete ${name}`} onClick=${forget} />`}
    </span>
    ${answer && html`<p class="ping" role="status"><${Badge} state=${answer.ok ? "succeeded" : "dead"}>${answer.ok ? "answers" : "does not answer well"}</${Badge}> ${wordsOf(answer)}</p>`}
  `;
}

function wordsOf({ httpStatus, durationMs, sdk, error, note }) {
  return [httpStatus && `HTTP ${httpStatus}`, `in ${duration(durationMs)}`, sdk, error && errorLine(error), note].filter(Boolean).join(", ");
}
