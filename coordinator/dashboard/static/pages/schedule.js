// One schedule: its rule, when it fires next, and its last runs.

import { patch, post, read, remove } from "../core/api.js";
import { cronWords } from "../core/cron_words.js";
import { absolute, backoffWords, count, duration, shortly } from "../core/format.js";
import { useLoad, useTitle } from "../core/hooks.js";
import { parse, pretty, problemOf } from "../core/json.js";
import { go, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, ButtonLink, Chip, Copyable, Empty, Facts, Loaded, Panel, Time } from "../parts/bits.js";
import { open } from "../parts/dialogs.js";
import { JsonField, SelectField, TextField } from "../parts/fields.js";
import { JsonView } from "../parts/json_view.js";
import { attempt } from "../parts/toasts.js";
import { History, isOfSchedules, pathOf, QuickActs, ruleOf } from "./schedules.js";

const FIRES = 5;
const RUNS = 48;

export function Schedule({ route }) {
  const id = route.parts[1];
  const schedule = useLoad((signal) => read(pathOf(id), {}, signal), [id], { on: (event) => isOfSchedules(event) && (event.scheduleId ?? id) === id });
  useTitle(schedule.data?.name ?? "Schedule");
  if (schedule.problem?.status === 404) {
    return html`
      <${Empty} icon="schedules" title="There is no such schedule" isPage>
        <p>It was never made, or has been deleted; one that has ended can be read for a week.</p>
        <${ButtonLink} href="#/schedules">All schedules</${ButtonLink}>
      </${Empty}>
    `;
  }
  return html`<${Loaded} of=${schedule}>${(found) => html`<${Whole} schedule=${found} onChanged=${schedule.reload} />`}</${Loaded}>`;
}

function Whole({ schedule, onChanged }) {
  const name = schedule.name ?? schedule.worker;
  return html`
    <header class="page-head">
      <div class="page-title">
        <p class="crumbs"><a href="#/schedules">Schedules</a></p>
        <h1 tabindex="-1">${name}</h1>
        <${Badge} state=${schedule.state} />
        <div class="page-id"><${Copyable} text=${schedule.id} label="schedule's id" /></div>
      </div>
      ${can("manage") && html`<div class="actions"><${Actions} schedule=${schedule} onChanged=${onChanged} /></div>`}
    </header>
    <div class="columns">
      <div class="column">
        <${Panel} title="Last runs" aside=${html`<a href=${to("jobs", { scheduleId: schedule.id, queue: schedule.queue })}>all of them</a>`}>
          <div class="pad"><${History} schedule=${schedule} most=${RUNS} /><${Legend} /></div>
        </${Panel}>
        <${Fires} schedule=${schedule} />
        <${Panel} title="Arguments of each run"><${JsonView} value=${schedule.args} label="arguments" /></${Panel}>
      </div>
      <aside class="column is-side" aria-label="About this schedule"><${About} schedule=${schedule} /></aside>
    </div>
  `;
}

const Legend = () => html`
  <p class="legend">
    ${["succeeded", "running", "retrying", "dead", "cancelled"].map(
      (state) => html`<span key=${state} class="legend-item"><span class=${`square is-small is-${state}`} aria-hidden="true"></span>${state}</span>`,
    )}
  </p>
`;

/** The next ticks. Told by the server, which alone knows what the clocks of a zone do. */
function Fires({ schedule }) {
  const isActive = schedule.state === "active";
  const preview = useLoad(
    async () => {
      if (!isActive) {
        return null;
      }
      const rule = schedule.cron
        ? { cron: schedule.cron, seconds: schedule.cron.split(" ").length === 6, timezone: schedule.timezone, dst: schedule.dst }
        : { every: schedule.everyMs, startAt: schedule.nextRunAt, after: Date.parse(schedule.nextRunAt) - 1 };
      return (await post("/schedule/preview", { ...rule, endAt: schedule.endAt, count: FIRES })).nextRuns;
    },
    [schedule.id, schedule.nextRunAt, isActive, ruleOf(schedule), schedule.timezone],
    { on: () => false, everyMs: 60_000 },
  );
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const isElsewhere = schedule.timezone !== own;
  return html`
    <${Panel} title="Next fires" aside=${isActive ? "" : `it is ${schedule.state}`}>
      ${!isActive
        ? html`<p class="pad faint">It does not fire.</p>`
        : html`
            <${Loaded} of=${preview} rows=${5}>
              ${(fires) => html`
                <table class="plain">
                  <thead><tr><th scope="col">In</th><th scope="col">Here, ${own}</th>${isElsewhere && html`<th scope="col">There, ${schedule.timezone}</th>`}</tr></thead>
                  <tbody>
                    ${(fires ?? []).map(
                      (fire) => html`
                        <tr key=${fire}>
                          <td><${Time} at=${fire} /></td><td>${shortly(fire)}</td>
                          ${isElsewhere && html`<td>${shortly(fire, schedule.timezone)}</td>`}
                        </tr>
                      `,
                    )}
                  </tbody>
                </table>
              `}
            </${Loaded}>
          `}
    </${Panel}>
  `;
}

function About({ schedule }) {
  const overlaps = {
    skip: "a tick is passed over while a run lives",
    allow: "runs go side by side",
    queue: "the next run waits for the one before",
    cancel: "the older run is asked to stop",
  };
  return html`
    <${Panel} title="Rule">
      <${Facts}
        items=${[
          ["Fires", html`<code>${ruleOf(schedule)}</code>`],
          ["In words", schedule.cron && cronWords(schedule.cron)],
          ["Zone", schedule.cron && schedule.timezone],
          ["Overlap", `${schedule.overlap}: ${overlaps[schedule.overlap]}`],
          ["Missed ticks", schedule.misfire],
          ["Begins", schedule.startAt && absolute(schedule.startAt)],
          ["Ends", schedule.endAt && absolute(schedule.endAt)],
          ["Runs at most", schedule.maxRuns && count(schedule.maxRuns)],
          ["Owner", schedule.owner],
        ]}
      />
    </${Panel}>
    <${Panel} title="So far">
      <${Facts}
        items=${[
          ["Runs", count(schedule.runs)],
          ["Skipped", count(schedule.skipped)],
          ["Missed", count(schedule.missed)],
          ["Last", html`<${Time} at=${schedule.lastRunAt} />`],
          ["Next", html`<${Time} at=${schedule.state === "active" ? schedule.nextRunAt : null} />`],
          ["Made", html`<${Time} at=${schedule.createdAt} />`],
        ]}
      />
    </${Panel}>
    <${Panel} title="Each run">
      <${Facts}
        items=${[
          ["Worker", schedule.worker],
          ["Queue", html`<a href=${to(["queues", schedule.queue])}>${schedule.queue}</a>`],
          ["Key", schedule.key],
          ["Tags", schedule.tags.length > 0 && schedule.tags.map((tag) => html`<${Chip} key=${tag}>${tag}</${Chip}> `)],
          ["Attempts", `${schedule.maxAttempts} at the most`],
          ["Waits", backoffWords(schedule)],
          ["Time-out", duration(schedule.timeoutMs)],
        ]}
      />
    </${Panel}>
  `;
}

function Actions({ schedule, onChanged }) {
  const edit = async () => {
    const body = await open({ title: "Edit the schedule", isWide: true, body: (close) => html`<${EditForm} schedule=${schedule} onClose=${close} />` });
    if (body && (await attempt(() => patch(pathOf(schedule.id), body), "The schedule is changed."))) {
      onChanged();
    }
  };
  const erase = async () => {
    const runs = await open({ title: "Delete this schedule?", body: (close) => html`<${DeleteForm} onClose=${close} />` });
    if (runs && (await attempt(() => remove(pathOf(schedule.id), { runs }), "The schedule is deleted."))) {
      go(to("schedules"), { replace: true });
    }
  };
  return html`
    <${QuickActs} schedule=${schedule} onDone=${onChanged} kind="" />
    <${Button} icon="edit" onClick=${edit}>Edit</${Button}>
    <${Button} icon="trash" kind="quiet-danger" onClick=${erase}>Delete</${Button}>
  `;
}

const DeleteForm = ({ onClose }) => html`
  <p>It fires no more. Its jobs stay, unless those that wait are to be cancelled as well.</p>
  <footer class="dialog-foot">
    <${Button} onClick=${() => onClose(null)}>Keep it</${Button}>
    <${Button} kind="quiet-danger" onClick=${() => onClose("cancel")}>Delete, and cancel what waits</${Button}>
    <${Button} kind="danger" onClick=${() => onClose("keep")}>Delete</${Button}>
  </footer>
`;

function EditForm({ schedule, onClose }) {
  const isCron = schedule.cron !== null;
  const [fields, setFields] = useState({
    rule: schedule.cron ?? `${schedule.everyMs}ms`,
    timezone: schedule.timezone,
    overlap: schedule.overlap,
    args: pretty(schedule.args),
  });
  const set = (name) => (value) => setFields({ ...fields, [name]: value });
  const submit = (event) => {
    event.preventDefault();
    const rule = isCron ? { cron: fields.rule, seconds: fields.rule.trim().split(/\s+/).length === 6, timezone: fields.timezone } : { every: fields.rule };
    // A rule that is sent counts from now, so the same one is not.
    const isSame = fields.rule === (schedule.cron ?? `${schedule.everyMs}ms`) && fields.timezone === schedule.timezone;
    onClose({ ...(isSame ? {} : rule), overlap: fields.overlap, args: parse(fields.args) });
  };
  return html`
    <form class="form" onSubmit=${submit}>
      <${TextField} label=${isCron ? "Cron" : "Every"} value=${fields.rule} onChange=${set("rule")} required />
      ${isCron && html`<${TextField} label="Zone" value=${fields.timezone} onChange=${set("timezone")} />`}
      <${SelectField} label="While a run still lives" value=${fields.overlap} onChange=${set("overlap")} choices=${["skip", "allow", "queue", "cancel"]} />
      <${JsonField} label="Arguments" value=${fields.args} onChange=${set("args")} />
      <footer class="dialog-foot is-wide">
        <${Button} onClick=${() => onClose(null)}>Leave it</${Button}>
        <button class="button primary" type="submit" disabled=${Boolean(problemOf(fields.args))}><span>Save</span></button>
      </footer>
    </form>
  `;
}
