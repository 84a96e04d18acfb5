// The attempts of a job as a line of time, the newest first, each with its error in full.

import { duration, errorLine } from "../core/format.js";
import { html } from "../core/view.js";
import { Badge, Time } from "../parts/bits.js";
import { JsonView } from "../parts/json_view.js";

const TONES = {
  success: "succeeded",
  failure: "dead",
  timeout: "dead",
  lost: "retrying",
  snoozed: "scheduled",
  throttled: "retrying",
  cancelled: "cancelled",
  stale: "cancelled",
};

export function Attempts({ job }) {
  const attempts = [...job.attempts].reverse();
  const isRunning = job.state === "running";
  if (!attempts.length && !isRunning) {
    return html`<p class="pad faint">It was not called yet.</p>`;
  }
  return html`
    <ol class="attempts">
      ${isRunning &&
      html`
        <li class="attempt is-running">
          <p class="attempt-head"><b>Attempt ${job.attempt}</b> <${Badge} state="running" /> <span class="faint">begun <${Time} at=${job.startedAt} /></span></p>
        </li>
      `}
      ${attempts.map((one, at) => html`<${Attempt} key=${`${one.attempt} ${one.finishedAt} ${at}`} one=${one} isNewest=${at === 0} />`)}
    </ol>
  `;
}

function Attempt({ one, isNewest }) {
  const tone = TONES[one.outcome] ?? "cancelled";
  return html`
    <li class=${`attempt is-${tone}`}>
      <p class="attempt-head">
        <b>Attempt ${one.attempt}</b>
        <${Badge} state=${tone}>${one.outcome}</${Badge}>
        ${one.httpStatus !== null && html`<span class="faint">HTTP ${one.httpStatus}</span>`}
        <span class="faint"><${Time} at=${one.startedAt ?? one.finishedAt} />${one.durationMs !== null ? `, took ${duration(one.durationMs)}` : ""}</span>
      </p>
      ${one.error !== null && html`<${ErrorOf} error=${one.error} isOpen=${isNewest} />`}
    </li>
  `;
}

function ErrorOf({ error, isOpen }) {
  const { message, type, stack, ...rest } = typeof error === "object" && !Array.isArray(error) ? error : { message: error };
  const isPlain = typeof (message ?? "") === "string";
  return html`
    <details class="error" open=${isOpen}>
      <summary>${errorLine(error)}</summary>
      ${isPlain && message && message.includes("\n") && html`<pre tabindex="0">${message}</pre>`}
      ${typeof stack === "string" && html`<pre tabindex="0" aria-label="Stack">${stack}</pre>`}
      ${(Object.keys(rest).length > 0 || !isPlain) && html`<${JsonView} value=${isPlain ? rest : error} label="error" />`}
    </details>
  `;
}
