// When a new job is to run: now, at an instant or after a delay, or by a rule, with the runs that it would have.

import { post } from "../core/api.js";
import { ruleWords } from "../core/cron_words.js";
import { shortly } from "../core/format.js";
import { html, useEffect, useState } from "../core/view.js";
import { Time } from "../parts/bits.js";
import { Segments, TextField } from "../parts/fields.js";

const PAUSE_MS = 350;
const ZONES = typeof Intl.supportedValuesOf === "function" ? ["UTC", ...Intl.supportedValuesOf("timeZone")] : ["UTC"];

/** The fields of the body that say when. */
export function whenOf({ when, delay, runAt, cron, every, isCron, timezone }) {
  if (when === "later") {
    return runAt ? { runAt: new Date(runAt).toISOString() } : delay.trim() ? { delay: delay.trim() } : {};
  }
  if (when === "again") {
    return isCron ? { cron: cron.trim(), timezone: timezone.trim() || "UTC", ...(isSix(cron) && { seconds: true }) } : { every: every.trim() };
  }
  return {};
}

const isSix = (cron) => cron.trim().split(/\s+/).length === 6;

export function When({ fields, set }) {
  if (fields.when === "now") {
    return html`<p class="pad faint">As soon as the limits of its queue allow.</p>`;
  }
  if (fields.when === "later") {
    return html`
      <div class="form pad">
        <${TextField} label="After" hint="30s, 10m, 2h, 7d" value=${fields.delay} onChange=${set("delay")} disabled=${Boolean(fields.runAt)} />
        <${TextField} label="or at" hint="in your zone" type="datetime-local" step="1" value=${fields.runAt} onChange=${set("runAt")} />
      </div>
    `;
  }
  return html`
    <div class="form pad">
      <div class="field is-wide">
        <${Segments} label="Kind of rule" value=${fields.isCron} onChange=${set("isCron")} choices=${[[true, "Cron"], [false, "Interval"]]} />
      </div>
      ${fields.isCron
        ? html`
            <${TextField} label="Cron" hint="minute hour day month weekday; a sixth field in front is seconds" value=${fields.cron} onChange=${set("cron")} />
            <${TextField} label="Zone" value=${fields.timezone} onChange=${set("timezone")} choices=${ZONES} />
          `
        : html`<${TextField} label="Every" hint="30s, 15m, 1h" value=${fields.every} onChange=${set("every")} />`}
      <div class="field is-wide"><${Preview} fields=${fields} /></div>
    </div>
  `;
}

function Preview({ fields }) {
  const [state, setState] = useState({});
  const rule = JSON.stringify(whenOf(fields));
  useEffect(() => {
    let isOver = false;
    const { cron, every } = JSON.parse(rule);
    if (!cron && !every) {
      setState({});
      return undefined;
    }
    const timer = setTimeout(async () => {
      try {
        const found = await post("/schedule/preview", JSON.parse(rule));
        if (!isOver) {
          setState({ runs: found.nextRuns });
        }
      } catch (problem) {
        if (!isOver) {
          setState({ problem: problem.message });
        }
      }
    }, PAUSE_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [rule]);
  if (state.problem) {
    return html`<p class="hint problem" role="alert">${state.problem}</p>`;
  }
  if (!state.runs) {
    return null;
  }
  const words = fields.isCron && ruleWords(whenOf(fields));
  return html`
    <div class="preview" role="status">
      ${words && html`<p>${words}</p>`}
      <p class="faint">${state.runs.length ? "Next runs" : "It would never run."}</p>
      <ol>${state.runs.map((at) => html`<li key=${at}>${shortly(at, fields.isCron ? fields.timezone || "UTC" : undefined)} <span class="faint"><${Time} at=${at} /></span></li>`)}</ol>
    </div>
  `;
}
