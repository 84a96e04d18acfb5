// What recurs: when each fires next, and what became of its last runs.

import { post, read } from "../core/api.js";
import { ruleWords } from "../core/cron_words.js";
import { absolute, duration, errorLine } from "../core/format.js";
import { useLoad, useTitle } from "../core/hooks.js";
import { go, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html } from "../core/view.js";
import { Badge, Button, ButtonLink, Empty, Loaded, PageHead, Time } from "../parts/bits.js";
import { Table } from "../parts/table.js";
import { attempt } from "../parts/toasts.js";

const LIMIT = 50;
const RUNS = 12;

export const pathOf = (id, verb) => `/schedule/${encodeURIComponent(id)}${verb ? `/${verb}` : ""}`;
export const isOfSchedules = (event) => event.type.startsWith("schedule.") || Boolean(event.scheduleId);

/** The rule as it was given. */
export const ruleOf = (schedule) => schedule.cron ?? `every ${duration(schedule.everyMs)}`;

export function Schedules({ route }) {
  const { cursor } = route.query;
  const page = useLoad((signal) => read("/schedule", { cursor, limit: LIMIT }, signal), [cursor], { on: isOfSchedules, everyMs: 2000 });
  useTitle("Schedules");
  return html`
    <${PageHead} title="Schedules">
      ${can("enqueue") && html`<${ButtonLink} icon="plus" href=${to("new", { when: "again" })}>New schedule</${ButtonLink}>`}
    </${PageHead}>
    <${Loaded} of=${page}>
      ${({ items, cursor: next }) =>
        items.length || cursor
          ? html`
              <${Table} label="Schedules" columns=${columnsOf(page.reload)} rows=${items} keyOf=${(one) => one.id} />
              ${next && html`<nav class="pages" aria-label="Pages of schedules"><${Button} onClick=${() => go(to("schedules", { cursor: next }))}>Next page</${Button}></nav>`}
            `
          : html`
              <${Empty} icon="schedules" title="Nothing recurs">
                <p>A schedule makes a job again and again, by cron or by an interval.</p>
                ${can("enqueue") && html`<${ButtonLink} kind="primary" icon="plus" href=${to("new", { when: "again" })}>New schedule</${ButtonLink}>`}
              </${Empty}>
            `}
    </${Loaded}>
  `;
}

function columnsOf(onDone) {
  const columns = [
    {
      name: "Schedule",
      kind: "main",
      cell: (one) => html`
        <a href=${to(["schedules", one.id])}>${one.name ?? one.worker}</a> ${one.state !== "active" && html`<${Badge} state=${one.state} />`}
        ${one.name && one.name !== one.worker && html`<span class="under faint">${one.worker}</span>`}
      `,
    },
    { name: "Rule", cell: (one) => html`<code>${ruleOf(one)}</code>${one.cron && html`<span class="under faint">${ruleWords(one)}</span>`}` },
    { name: "Queue", cell: (one) => html`<a class="quiet" href=${to(["queues", one.queue])}>${one.queue}</a>` },
    { name: "Next", kind: "number", cell: (one) => html`<${Time} at=${one.state === "active" ? one.nextRunAt : null} />` },
    { name: "Last runs", kind: "wide", cell: (one) => html`<${History} schedule=${one} />` },
  ];
  if (can("manage")) {
    columns.push({ name: "", kind: "end", cell: (one) => html`<span class="row-acts"><${QuickActs} schedule=${one} onDone=${onDone} /></span>` });
  }
  return columns;
}

export function QuickActs({ schedule, onDone, kind = "small" }) {
  const name = schedule.name ?? schedule.id;
  const act = async (verb, text, more) => {
    if (await attempt(() => post(pathOf(schedule.id, verb)), { text, ...more })) {
      onDone();
    }
  };
  const trigger = async () => {
    const job = await attempt(() => post(pathOf(schedule.id, "trigger")));
    if (job) {
      await attempt(async () => true, { text: `${name} runs now.`, href: to(["jobs", job.id]) });
      onDone();
    }
  };
  const undo = (verb) => ({ undo: { act: () => post(pathOf(schedule.id, verb)).then(onDone) } });
  return html`
    <${Button} kind=${kind} icon="bolt" onClick=${trigger}>Trigger</${Button}>
    ${schedule.state === "active" && html`<${Button} kind=${kind} icon="pause" onClick=${() => act("pause", `${name} is paused.`, undo("resume"))}>Pause</${Button}>`}
    ${schedule.state === "paused" && html`<${Button} kind=${kind} icon="play" onClick=${() => act("resume", `${name} goes on with its next tick.`, undo("pause"))}>Resume</${Button}>`}
  `;
}

/** The last runs as squares, the oldest first, each leading to its job. */
export function History({ schedule, most = RUNS }) {
  const { id, queue } = schedule;
  const runs = useLoad(async (signal) => lastRuns(id, queue, most, signal), [id, most], {
    on: (event) => event.scheduleId === id || (event.jobId ?? "").startsWith(id),
    everyMs: 2000,
  });
  if (!runs.data) {
    return html`<span class="strip" aria-hidden="true">${Array.from({ length: most }, (_, at) => html`<span key=${at} class="square is-none"></span>`)}</span>`;
  }
  const missing = Math.max(0, most - runs.data.length);
  return html`
    <span class="strip" role="list" aria-label="Last runs">
      ${Array.from({ length: missing }, (_, at) => html`<span key=${`none ${at}`} class="square is-none" role="presentation"></span>`)}
      ${runs.data.map((job) => html`<span key=${job.id} role="listitem"><a class=${`square is-${job.state}`} href=${to(["jobs", job.id])} title=${words(job)} aria-label=${words(job)}></a></span>`)}
    </span>
  `;
}

/** The newest runs of a schedule, the oldest of them first. */
export async function lastRuns(id, queue, most, signal) {
  // They come newest first; those that are made ahead of their time are none yet.
  const { items } = await read("/job", { scheduleId: id, queue, limit: most + 8 }, signal);
  const due = (job) => job.scheduledFor ?? job.createdAt;
  return items
    .filter(({ state }) => state !== "scheduled")
    .sort((one, other) => due(one).localeCompare(due(other)))
    .slice(-most);
}

function words(job) {
  const error = job.lastError === null ? "" : `, ${errorLine(job.lastError)}`;
  return `${job.state}, ${absolute(job.scheduledFor ?? job.createdAt)}${error}`;
}
