// One job: what it is to do, what became of its attempts, and if it waits, why.

import { read } from "../core/api.js";
import { backoffWords, countdown, duration, errorLine, plural } from "../core/format.js";
import { useLoad, useNow, useTitle } from "../core/hooks.js";
import { go, to } from "../core/router.js";
import { can } from "../core/session.js";
import { reasonsOf } from "../core/waiting.js";
import { html, useEffect } from "../core/view.js";
import { Badge, ButtonLink, Chip, Copyable, Empty, Facts, Loaded, Meter, Panel, Time, WAITING } from "../parts/bits.js";
import { Icon } from "../parts/icons.js";
import { JsonView } from "../parts/json_view.js";
import { Attempts } from "./attempts.js";
import { JobActions } from "./job_actions.js";

const pathOf = (id) => `/job/${encodeURIComponent(id)}`;

export function Job({ route }) {
  const id = route.parts[1];
  const job = useLoad((signal) => read(pathOf(id), {}, signal), [id], { on: (event) => event.jobId === id });
  const { data, problem, reload } = job;
  useTitle(data ? `${data.worker} ${id}` : "Job");
  useEffect(() => {
    if (data?.kind === "schedule") {
      go(to(["schedules", data.id]), { replace: true });
    }
  }, [data?.kind]);
  useDue(data, reload);
  if (problem?.status === 404) {
    return html`
      <${Empty} icon="search" title="There is no such job" isPage>
        <p><code>${id}</code> was never made, or has been deleted, or purged after its time.</p>
        <${ButtonLink} href="#/jobs">All jobs</${ButtonLink}>
      </${Empty}>
    `;
  }
  return html`<${Loaded} of=${job} rows=${8}>${(found) => (found.kind === "job" ? html`<${Whole} job=${found} onChanged=${reload} />` : null)}</${Loaded}>`;
}

/** Read it anew when its time has come: no event tells that an instant has passed. */
function useDue(job, reload) {
  const now = useNow();
  const at = job && WAITING.includes(job.state) ? Math.min(...job.waitingFor.map(({ until }) => Date.parse(until ?? "9999-01-01"))) : Infinity;
  const isDue = at <= now;
  useEffect(() => {
    if (isDue) {
      reload();
    }
  }, [isDue, at]);
}

function Whole({ job, onChanged }) {
  const isWaiting = WAITING.includes(job.state);
  return html`
    <header class="page-head">
      <div class="page-title">
        <p class="crumbs"><a href="#/jobs">Jobs</a> <span aria-hidden="true">/</span> <a href=${to(["queues", job.queue])}>${job.queue}</a></p>
        <h1 tabindex="-1">${job.worker}</h1>
        <${Badge} state=${job.state} />
        ${job.cancelRequested && html`<${Badge} state="cancelled">asked to stop</${Badge}>`}
        <div class="page-id"><${Copyable} text=${job.id} label="job's id" /></div>
      </div>
      ${(can("manage") || can("enqueue")) && html`<div class="actions"><${JobActions} job=${job} onChanged=${onChanged} /></div>`}
    </header>
    <div class="columns">
      <div class="column">
        ${isWaiting && html`<${Why} job=${job} />`}
        ${job.state === "running" && html`<${Running} job=${job} />`}
        ${job.state === "dead" && html`<${Ended} job=${job} tone="dead" title="It is dead: nothing more happens by itself" />`}
        ${job.state === "cancelled" && html`<${Ended} job=${job} tone="cancelled" title="It was cancelled" />`}
        <${Panel} title="Arguments"><${JsonView} value=${job.args} label="arguments" /></${Panel}>
        ${job.result !== null && html`<${Panel} title="Result"><${JsonView} value=${job.result} label="result" /></${Panel}>`}
        <${Panel} title="Attempts" aside=${`${job.attempt} of ${job.maxAttempts}`}><${Attempts} job=${job} /></${Panel}>
        ${Object.keys(job.meta ?? {}).length > 0 && html`<${Panel} title="Meta"><${JsonView} value=${job.meta} label="meta" /></${Panel}>`}
      </div>
      <aside class="column is-side" aria-label="About this job"><${About} job=${job} /></aside>
    </div>
  `;
}

function Why({ job }) {
  const now = useNow();
  const reasons = reasonsOf(job, now);
  return html`
    <${Panel} title="Why is it not running?" kind="why">
      ${reasons.length
        ? html`
            <ul class="reasons">
              ${reasons.map(
                (reason, at) => html`
                  <li key=${at}>
                    <${Icon} name=${reason.type === "paused" ? "pause" : reason.type === "circuit" ? "bolt" : "schedules"} />
                    <div>
                      <p class="reason">${reason.title}</p>
                      <p class="faint">${reason.more} ${linkOf(reason, job)}</p>
                    </div>
                    ${reason.until && Date.parse(reason.until) > now && html`<span class="countdown" role="timer" aria-label="Time left">${countdown(reason.until, now)}</span>`}
                  </li>
                `,
              )}
            </ul>
          `
        : html`<p class="pad">Nothing holds it: it is called within moments.</p>`}
    </${Panel}>
  `;
}

function linkOf({ type, worker, queue }, job) {
  if (type === "circuit" || worker) {
    return html`<a href=${to("workers")}>Its worker</a>`;
  }
  if (["limit", "concurrency", "paused", "retryAfter", "turn"].includes(type)) {
    return html`<a href=${to(["queues", queue ?? job.queue])}>The queue</a>`;
  }
  return null;
}

function Running({ job }) {
  const now = useNow();
  return html`
    <${Panel} title="It runs" kind="why is-running">
      <div class="pad">
        ${job.progress !== null &&
        html`<${Meter} percent=${job.progress} label="Progress" /><p class="progress-text"><b>${Math.round(job.progress)} %</b> ${job.message}</p>`}
        ${job.progress === null && job.message && html`<p>${job.message}</p>`}
        <p class="faint">
          Begun <${Time} at=${job.startedAt} />${job.deadline && html`; it has to report until <${Time} at=${job.deadline} />, that is ${countdown(job.deadline, now)}`}.
          ${job.answered && html` Its call was answered: ${job.answered}.`}
        </p>
      </div>
    </${Panel}>
  `;
}

const REASONS = {
  attempts_exhausted: "It has used up its attempts.",
  retry_duration_exhausted: "It was tried for as long as it may be.",
  non_retryable: "Its function said that it is of no use to try again.",
  lost_too_often: "Its attempts were lost five times with the replica that made them.",
  snoozed_out: "It was snoozed a thousand times.",
  throttled_out: "It was throttled a thousand times.",
  expired: "It was not begun in time (expiresIn).",
  user: "Somebody cancelled it.",
  worker: "Its function ended it.",
  superseded: "A newer job took its place.",
};

function Ended({ job, tone, title }) {
  return html`
    <div class=${`callout is-${tone}`} role="note">
      <p class="reason">${title}</p>
      <p class="faint">${REASONS[job.reason] ?? (job.reason ? `Reason: ${job.reason}.` : "")} <${Time} at=${job.finishedAt} /></p>
      ${job.lastError !== null && html`<p class="callout-error">${errorLine(job.lastError)}</p>`}
    </div>
  `;
}

function About({ job }) {
  const took = job.attempts.at(-1)?.durationMs;
  return html`
    <${Panel} title="When">
      <${Facts}
        items=${[
          ["Made", html`<${Time} at=${job.createdAt} />`],
          ["Due", html`<${Time} at=${job.scheduledFor ?? job.runAt} />`],
          ["Next attempt", job.state === "retrying" && html`<${Time} at=${job.nextAttemptAt} />`],
          ["Begun", job.startedAt && html`<${Time} at=${job.startedAt} />`],
          ["Deadline", job.state === "running" && job.deadline && html`<${Time} at=${job.deadline} />`],
          ["Ended", job.finishedAt && html`<${Time} at=${job.finishedAt} />`],
          ["Took", job.finishedAt && took !== null && took !== undefined && duration(took)],
        ]}
      />
    </${Panel}>
    <${Panel} title="Where">
      <${Facts}
        items=${[
          ["Worker", html`<a href=${to("jobs", { worker: job.worker, queue: job.queue })}>${job.worker}</a>`],
          ["Queue", html`<a href=${to(["queues", job.queue])}>${job.queue}</a>`],
          ["Key", job.key && html`<${Chip} href=${to("jobs", { queue: job.queue, key: job.key })}>${job.key}</${Chip}>`],
          ["Schedule", job.scheduleId && html`<a href=${to(["schedules", job.scheduleId])}>${job.scheduleId}</a>`],
          ["Batch", job.batchId && html`<a href=${to(["batches", job.batchId])}>${job.batchId}</a>`],
          ["Tags", job.tags.length > 0 && job.tags.map((tag) => html`<${Chip} key=${tag} href=${to("jobs", { tag, queue: job.queue })}>${tag}</${Chip}> `)],
          ["Unique", job.unique && html`<${Copyable} text=${job.unique} label="handle" />`],
        ]}
      />
    </${Panel}>
    <${Panel} title="How">
      <${Facts}
        items=${[
          ["Priority", String(job.priority)],
          ["Cost", job.cost !== 1 && String(job.cost)],
          ["Attempts", `${job.maxAttempts} at the most`],
          ["Waits", backoffWords(job)],
          ["Time-out", duration(job.timeoutMs)],
          ["Heartbeat", job.heartbeatTimeoutMs && `each ${duration(job.heartbeatTimeoutMs)}`],
          ["Expires", job.expiresInMs && `${duration(job.expiresInMs)} after it was due`],
          ["Tried for", job.maxRetryDurationMs && `${duration(job.maxRetryDurationMs)} at the most`],
          ["Snoozed", job.snoozes > 0 && plural(job.snoozes, "time")],
          ["Throttled", job.throttles > 0 && plural(job.throttles, "time")],
          ["On success", job.onSuccess?.worker],
          ["On failure", job.onFailure?.worker],
        ]}
      />
    </${Panel}>
  `;
}
