// Is all well? What is done a minute, how long jobs wait, what fails, and who does the work.

import { read } from "../core/api.js";
import { bytes, compact, count, duration } from "../core/format.js";
import { useLoad, useTitle } from "../core/hooks.js";
import { go, to } from "../core/router.js";
import { can, isHeld } from "../core/session.js";
import { namesOf, useQueues } from "../core/shared.js";
import { html, useEffect, useMemo, useState } from "../core/view.js";
import { Badge, ButtonLink, Empty, Loaded, Meter, PageHead, Panel } from "../parts/bits.js";
import { Chart, Spark } from "../parts/chart.js";
import { SelectField, Segments } from "../parts/fields.js";
import { Table } from "../parts/table.js";

const EVERY_MS = 2000;
const QUEUES_MOST = 6;
const [LEAST, USUAL] = ["15", "60"];
/** What is counted minute by minute. */
const OF_COUNTS = ["created", "started", "succeeded", "failed", "dead", "cancelled"];
const SPANS = [
  ["15", "15 m"],
  ["60", "1 h"],
  ["180", "3 h"],
];

export function Overview({ route }) {
  const [isYoung, setYoung] = useState(false);
  const { queue = "", minutes = isYoung ? LEAST : USUAL } = route.query;
  const stat = useLoad((signal) => read("/stat", { minutes, queue }, signal), [minutes, queue], { everyMs: EVERY_MS });
  const names = namesOf(useQueues());
  useTitle("Overview");
  useEffect(() => {
    if (stat.data) {
      setYoung(isWithin(stat.data, Number(LEAST)));
    }
  }, [stat.data]);
  const set = (changes) => go(to("overview", { ...route.query, ...changes }), { replace: true });
  return html`
    <${PageHead} title="Overview">
      ${names.length > 1 &&
      html`<${SelectField} label="Queue" value=${queue} onChange=${(next) => set({ queue: next })} choices=${[["", "All queues"], ...names]} />`}
      <${Segments} label="Time shown" value=${minutes} choices=${SPANS} onChange=${(next) => set({ minutes: next })} />
    </${PageHead}>
    <${Loaded} of=${stat} rows=${8}>${(found) => html`<${Figures} stat=${found} queue=${queue} />`}</${Loaded}>
  `;
}

/** Whether all that is told of happened in the last minutes, so that a longer span would be empty before. */
function isWithin({ series, minutes }, last) {
  const first = Math.min(...OF_COUNTS.map((name) => series[name].findIndex(Boolean)).filter((at) => at >= 0));
  // Of a short span it is not known what was before, unless it begins with nothing.
  return Number.isFinite(first) && first > Math.max(0, minutes - last);
}

function Figures({ stat, queue }) {
  const { counts, oldestDue, series } = stat;
  const isEmpty = Object.values(counts).every((number) => !number) && !sumOf(series.created);
  if (isEmpty && !queue) {
    return html`
      <${Empty} icon="bolt" title="No job has been here yet">
        <p>Have one done with <code>POST /job</code>, or from here.</p>
        ${can("enqueue") && html`<${ButtonLink} href="#/new" kind="primary" icon="plus">New job</${ButtonLink}>`}
      </${Empty}>
      <${Machines} stat=${stat} />
    `;
  }
  const ended = sumOf(series.succeeded) + sumOf(series.failed);
  const failing = ended ? (100 * sumOf(series.failed)) / ended : 0;
  const jobs = (state) => to("jobs", { state, queue });
  return html`
    <div class="tiles">
      <${Tile} name="Due now" value=${compact(counts.queued)} href=${jobs("queued")}
        more=${oldestDue ? `oldest for ${duration(oldestDue.latencyMs)}` : "nothing waits"} tone=${oldestDue && oldestDue.latencyMs > 60_000 ? "warn" : ""} />
      <${Tile} name="Running" value=${compact(counts.running)} href=${jobs("running")} more=${`${count(lastWhole(series.started))} started a minute`} />
      <${Tile} name="Later" value=${compact(counts.scheduled + counts.retrying)} href=${jobs("scheduled")} more=${`${compact(counts.retrying)} for a retry`} />
      <${Tile} name="Done" value=${compact(sumOf(series.succeeded))} href=${jobs("succeeded")} more=${`in ${duration(stat.minutes * 60_000)}`} />
      <${Tile} name="Failing" value=${`${failing < 10 ? failing.toFixed(1) : Math.round(failing)} %`} href=${jobs("retrying")} more="of attempts" tone=${failing > 10 ? "warn" : ""} />
      <${Tile} name="Dead" value=${compact(counts.dead)} href=${to("dead", { queue })} more=${`${compact(sumOf(series.dead))} in ${duration(stat.minutes * 60_000)}`} tone=${counts.dead ? "bad" : ""} />
    </div>
    <${Plots} stat=${stat} />
    ${!queue && html`<${QueueRows} stat=${stat} />`}
    <${Machines} stat=${stat} />
  `;
}

const Tile = ({ name, value, more, href, tone }) => html`
  <a class=${`tile ${tone ? `is-${tone}` : ""}`} href=${href}>
    <span class="tile-name">${name}</span><span class="tile-value">${value}</span><span class="tile-more">${more}</span>
  </a>
`;

function Plots({ stat }) {
  const { series } = stat;
  const times = useMemo(
    () => series.created.map((_, at) => Date.parse(stat.since) + at * stat.stepMs),
    [stat.since, series.created.length],
  );
  const done = useMemo(() => byQueue(stat, "succeeded"), [stat]);
  const failed = useMemo(() => byQueue(stat, "failed"), [stat]);
  const lengths = useMemo(
    () => [
      { name: "wait p50", values: series.waitP50Ms, color: "series-1" },
      { name: "wait p95", values: series.waitP95Ms, color: "series-2" },
      { name: "run p50", values: series.runP50Ms, color: "series-3" },
      { name: "run p95", values: series.runP95Ms, color: "series-4" },
    ],
    [stat],
  );
  return html`
    <div class="plots">
      <${Panel} title="Throughput" aside="jobs done a minute">
        <${Chart} label="Jobs done a minute" times=${times} series=${done} kind="bars" format=${compact} />
      </${Panel}>
      <${Panel} title="Latency" aside="due to start, and start to end">
        <${Chart} label="Latency" times=${times} series=${lengths} format=${duration} />
      </${Panel}>
      <${Panel} title="Failures" aside="attempts that failed a minute">
        <${Chart} label="Failed attempts a minute" times=${times} series=${failed} kind="bars" format=${compact} />
      </${Panel}>
    </div>
  `;
}

/** The queues with the most of it, each a series; what is left is one more. */
function byQueue(stat, name) {
  const ranked = stat.queues
    .map((queue) => ({ name: queue.name, values: queue.series[name], sum: sumOf(queue.series[name]) }))
    .filter(({ sum }) => sum)
    .sort((one, other) => other.sum - one.sum || one.name.localeCompare(other.name));
  if (!ranked.length) {
    return [{ name: "all queues", values: stat.series[name], color: "series-1" }];
  }
  const shown = ranked.slice(0, QUEUES_MOST).map((one, at) => ({ ...one, color: `series-${at + 1}` }));
  const others = stat.series[name].map((value, at) => Math.max(0, value - sumOf(shown.map(({ values }) => values[at]))));
  return sumOf(others) ? [...shown, { name: "others", values: others, color: "faint" }] : shown;
}

function QueueRows({ stat }) {
  const columns = [
    {
      name: "Queue",
      kind: "main",
      cell: (row) => html`<a href=${to(["queues", row.name])}>${row.name}</a> ${row.paused && html`<${Badge} state="paused" />`}`,
    },
    { name: "Done", kind: "wide", cell: (row) => html`<${Spark} values=${row.series.succeeded} label=${`Done a minute in ${row.name}`} />` },
    { name: "Failed", kind: "wide", cell: (row) => html`<${Spark} values=${row.series.failed} tone="dead" label=${`Failed a minute in ${row.name}`} />` },
    { name: "Due", kind: "number", cell: (row) => compact(row.counts.queued) },
    { name: "Running", kind: "number", cell: (row) => compact(row.counts.running) },
    { name: "Dead", kind: "number", cell: (row) => (row.counts.dead ? html`<a class="bad" href=${to("dead", { queue: row.name })}>${compact(row.counts.dead)}</a>` : "0") },
    { name: "Oldest due", kind: "number", cell: (row) => (row.latencyMs ? duration(row.latencyMs) : "–") },
  ];
  return html`
    <${Panel} title="Queues" aside=${stat.isTruncated ? "the busiest" : ""}>
      <${Table} label="Queues" columns=${columns} rows=${stat.queues} keyOf=${(row) => row.name} />
    </${Panel}>
  `;
}

function Machines({ stat }) {
  const { replicas, store } = stat;
  if (isHeld() || (!replicas && !store)) {
    return null;
  }
  const columns = [
    { name: "Replica", kind: "main", cell: (row) => html`<code>${row.id}</code>` },
    { name: "Leads", cell: (row) => (row.leads.length ? `${row.leads.length} shards: ${row.leads.join(", ")}` : "no shard") },
    { name: "Last heard of", kind: "number", cell: (row) => `${duration(row.silentMs)} ago` },
  ];
  const most = store?.maxBytes;
  return html`
    <div class="pair">
      ${replicas &&
      html`
        <${Panel} title="Replicas" aside=${replicas.unled.length ? html`<${Badge} state="dead">${replicas.unled.length} shards unled</${Badge}>` : "every shard is led"}>
          <${Table} label="Replicas" columns=${columns} rows=${replicas.items} keyOf=${(row) => row.id} />
        </${Panel}>
      `}
      ${store &&
      html`
        <${Panel} title="Store" aside=${most ? `of ${bytes(most)}` : "no limit is set"}>
          <div class="pad">
            <p class="figure">${bytes(store.usedBytes)}</p>
            ${most
              ? html`<${Meter} percent=${store.percent} label="Memory of the store" tone=${store.percent > 80 ? "bad" : ""} /><p class="faint">${store.percent.toFixed(1)} % used</p>`
              : html`<p class="faint">Redis may take all the memory that its machine has; set <code>maxmemory</code>.</p>`}
          </div>
        </${Panel}>
      `}
    </div>
  `;
}

const sumOf = (values) => values.reduce((all, value) => all + (value ?? 0), 0);

/** Of the last minute that is over: the present one has only begun. */
const lastWhole = (values) => values.at(-2) ?? values.at(-1) ?? 0;
