// Jobs: found by state and by what they have in common, a page at a time, and done something with, one or all.

import { read } from "../core/api.js";
import { compact, duration, errorLine } from "../core/format.js";
import { useLoad, useTitle } from "../core/hooks.js";
import { go, to } from "../core/router.js";
import { can, isHeld } from "../core/session.js";
import { namesOf, useQueues } from "../core/shared.js";
import { classes, html, useMemo, useState } from "../core/view.js";
import { Badge, Button, ButtonLink, Copyable, Empty, Loaded, PageHead, STATES, Time } from "../parts/bits.js";
import { Table } from "../parts/table.js";
import { BulkBar } from "./bulk.js";
import { FILTERS, Filters } from "./filters.js";

const LIMIT = 50;

export function Jobs({ route }) {
  const queues = useQueues();
  const held = isHeld() ? namesOf(queues) : [];
  useTitle("Jobs");
  if (isHeld() && !queues.data) {
    return html`<${PageHead} title="Jobs" /><${Loaded} of=${queues} />`;
  }
  // A token for some queues has to say which of them it means.
  const query = held.length && !route.query.queue ? { ...route.query, queue: held[0] } : route.query;
  return html`<${JobList} query=${query} queues=${queues.data ?? []} />`;
}

function JobList({ query, queues }) {
  const [picked, setPicked] = useState(new Map());
  const filter = useMemo(() => filterOf(query), [JSON.stringify(query)]);
  const asked = JSON.stringify([filter, query.cursor]);
  const page = useLoad((signal) => read("/job", { ...queryOf(filter), cursor: query.cursor, limit: LIMIT }, signal), [asked], {
    on: (event) => event.type.startsWith("job.") && (!filter.queue || event.queue === filter.queue),
  });
  const set = (changes) => {
    setPicked(new Map());
    go(to("jobs", { ...query, cursor: "", ...changes }));
  };
  const done = () => {
    setPicked(new Map());
    page.reload();
  };
  const rows = page.data?.items ?? [];
  const order = orderOf(query, queues);
  const selection = can("manage") ? selectionOf(rows, picked, setPicked) : null;

  return html`
    <${PageHead} title="Jobs" />
    <${States} query=${query} queues=${queues} onChoose=${(state) => set({ state })} />
    <${Filters} query=${query} onChange=${set}>
      ${can("manage") && (picked.size > 0 || Object.keys(filter).length > 0) && html`<${BulkBar} filter=${filter} picked=${picked} rows=${rows} onDone=${done} />`}
    </${Filters}>
    ${order && html`<p class="order faint">${order}</p>`}
    <${Loaded} of=${page} rows=${10}>
      ${() =>
        rows.length
          ? html`
              <${Table} label="Jobs" columns=${columnsOf(query)} rows=${rows} keyOf=${(job) => job.id} selection=${selection} />
              <${Pages} page=${page.data} query=${query} onGo=${set} />
            `
          : html`<${None} query=${query} page=${page.data} onGo=${set} />`}
    </${Loaded}>
  `;
}

/** How the pages go on where the newest of all is not what comes first. */
function orderOf({ queue, state, tag, scheduleId, batchId }, queues) {
  if (tag || scheduleId || batchId) {
    return "";
  }
  const lists = [!queue && queues.length > 1 && "queue by queue", !state && "state by state"].filter(Boolean);
  return lists.length ? `Listed ${lists.join(", and in each ")}.` : "";
}

/** What of the address says which jobs are meant. */
function filterOf(query) {
  const names = ["state", ...FILTERS.map(({ name }) => name)];
  return Object.fromEntries(names.filter((name) => query[name]).map((name) => [name, query[name]]));
}

const queryOf = ({ error, ...filter }) => (error ? { ...filter, "error~": error } : filter);

function selectionOf(rows, picked, setPicked) {
  const isAll = rows.length > 0 && rows.every((row) => picked.has(row.id));
  let last = [...picked.keys()].at(-1);
  return {
    isAll,
    has: (row) => picked.has(row.id),
    toggle: (row, isRange) => {
      const next = new Map(picked);
      const from = rows.findIndex(({ id }) => id === last);
      const at = rows.indexOf(row);
      const meant = isRange && from >= 0 ? rows.slice(Math.min(from, at), Math.max(from, at) + 1) : [row];
      for (const one of meant) {
        if (picked.has(row.id)) {
          next.delete(one.id);
        } else {
          next.set(one.id, one);
        }
      }
      last = row.id;
      setPicked(next);
    },
    toggleAll: () => setPicked(isAll ? new Map() : new Map(rows.map((row) => [row.id, row]))),
  };
}

function States({ query, queues, onChoose }) {
  const meant = query.queue ? queues.filter(({ name }) => name === query.queue) : queues;
  const isWhole = FILTERS.every(({ name }) => name === "queue" || !query[name]);
  return html`
    <div class="tabs" role="group" aria-label="State">
      ${["", ...STATES].map((state) => {
        const number = state && meant.reduce((sum, queue) => sum + queue[state], 0);
        return html`
          <button key=${state} type="button" class=${classes("tab", state && `is-${state}`)} aria-pressed=${(query.state ?? "") === state} onClick=${() => onChoose(state)}>
            ${state ? html`<span class="dot" aria-hidden="true"></span>${state}` : "all"}
            ${state && isWhole ? html`<span class="tab-count">${compact(number)}</span>` : null}
          </button>
        `;
      })}
    </div>
  `;
}

function columnsOf(query) {
  return [
    {
      name: "Job",
      kind: "main",
      cell: (job) => html`
        <div class="job">
          <a class="job-link" href=${to(["jobs", job.id])}>${job.worker}</a>
          <span class="job-id"><${Copyable} text=${job.id} label="job's id" /></span>
        </div>
      `,
    },
    { name: "State", cell: (job) => html`<${Badge} state=${job.state} />` },
    {
      name: "Queue",
      kind: "tight",
      cell: (job) => html`<a class="quiet" href=${to("jobs", { ...query, queue: job.queue, cursor: "" })}>${job.queue}</a>${job.key && html` <a class="chip" href=${to("jobs", { queue: job.queue, key: job.key })} title=${`Its key: ${job.key}`}>${job.key}</a>`}`,
    },
    { name: "Attempt", kind: "number", cell: (job) => html`${job.attempt}<span class="faint">/${job.maxAttempts}</span>` },
    { name: "When", kind: "tight", cell: (job) => html`<${When} job=${job} />` },
    { name: "Details", kind: "note tight", cell: (job) => html`<${Note} job=${job} />` },
  ];
}

/** The instant that matters in its state. */
function When({ job }) {
  switch (job.state) {
    case "scheduled":
    case "retrying":
      return html`<${Time} at=${job.nextAttemptAt} />`;
    case "queued":
      return html`<span class="faint">due </span><${Time} at=${job.runAt} />`;
    case "running":
      return html`<span class="faint">since </span><${Time} at=${job.startedAt} />`;
    default:
      return html`<${Time} at=${job.finishedAt} />`;
  }
}

function Note({ job }) {
  if (job.state === "running") {
    return job.progress === null ? job.message ?? "" : html`${Math.round(job.progress)} % <span class="faint">${job.message}</span>`;
  }
  if (job.state === "succeeded") {
    const took = job.attempts.at(-1)?.durationMs;
    return html`<span class="faint">${took === null || took === undefined ? "" : `took ${duration(took)}`}</span>`;
  }
  if (job.state === "cancelled") {
    return html`<span class="faint">${job.reason ?? ""}</span>`;
  }
  if (job.lastError !== null) {
    return html`<span class="bad" title=${errorLine(job.lastError)}>${errorLine(job.lastError)}</span>`;
  }
  const reason = job.waitingFor.find(({ type }) => type !== "runAt");
  return html`<span class="faint">${reason ? WAITS[reason.type] ?? reason.type : ""}</span>`;
}

const WAITS = {
  limit: "rate used up",
  concurrency: "as many run as may",
  paused: "paused",
  retryAfter: "asked to wait",
  circuit: "its worker is down",
  turn: "not its turn",
};

function Pages({ page, query, onGo }) {
  if (!page.cursor && !query.cursor) {
    return html`<p class="end faint">That is all.</p>`;
  }
  return html`
    <nav class="pages" aria-label="Pages of jobs">
      ${query.cursor && html`<${Button} onClick=${() => history.back()}>Back</${Button}><${Button} onClick=${() => onGo({ cursor: "" })}>First page</${Button}>`}
      ${page.cursor ? html`<${Button} onClick=${() => onGo({ cursor: page.cursor })}>Next page</${Button}>` : html`<span class="faint">That is all.</span>`}
    </nav>
  `;
}

function None({ query, page, onGo }) {
  if (page.cursor) {
    // With filters a page may be empty although there are more: they were looked for in a part of the store only.
    return html`
      <${Empty} icon="search" title="None up to here, but not all was looked through">
        <${Button} kind="primary" onClick=${() => onGo({ cursor: page.cursor })}>Look on</${Button}>
      </${Empty}>
    `;
  }
  const isFiltered = Object.keys(filterOf(query)).length > 0;
  return html`
    <${Empty} icon="jobs" title=${isFiltered ? "No job is so" : "There is no job"}>
      ${isFiltered
        ? html`<${ButtonLink} href="#/jobs">Show all jobs</${ButtonLink}>`
        : can("enqueue") && html`<${ButtonLink} href="#/new" kind="primary" icon="plus">New job</${ButtonLink}>`}
    </${Empty}>
  `;
}
