// What a job may have besides, folded away: most jobs need none of it.

import { parse, pretty } from "../core/json.js";
import { html } from "../core/view.js";
import { JsonField, SelectField, TextField } from "../parts/fields.js";

const NUMBERS = new Set(["priority", "maxAttempts", "cost", "maxRuns"]);
const OBJECTS = new Set(["meta", "backoff", "onSuccess", "onFailure", "retry"]);
const OF_JOBS = new Set(["unique"]);
const OF_SCHEDULES = new Set(["overlap", "maxRuns"]);
const DEFAULTS = { priority: 5, cost: 1 };

/** The texts of the fields that ask for what a body asks for; what is its default is left empty. */
export function textsOf({ worker, queue, args, ...body }) {
  const told = Object.entries(body).filter(([name, value]) => value !== DEFAULTS[name] && !(Array.isArray(value) && !value.length) && !isNothing(value));
  return Object.fromEntries(told.map(([name, value]) => [name, textOf(name, value)]));
}

const isNothing = (value) => typeof value === "object" && !Array.isArray(value) && !Object.keys(value).length;

function textOf(name, value) {
  if (name === "tags") {
    return value.join(" ");
  }
  return OBJECTS.has(name) ? pretty(value) : String(value);
}

/** The part of the body that they ask for. Throws `SyntaxError` for what is no JSON. */
export function optionsOf(options) {
  const given = Object.entries(options).filter(([, text]) => text.trim());
  return Object.fromEntries(given.map(([name, text]) => [name, valueOf(name, text.trim())]));
}

function valueOf(name, text) {
  if (name === "tags") {
    return text.split(/[\s,]+/).filter(Boolean);
  }
  if (OBJECTS.has(name)) {
    return parse(text);
  }
  const isDuration = /^(timeout|heartbeatTimeout|expiresIn|maxRetryDuration)$/.test(name) && /^\d+$/.test(text);
  return NUMBERS.has(name) || isDuration ? Number(text) : text;
}

export function Options({ options, isSchedule, onChange }) {
  const set = (name) => (value) => onChange({ ...options, [name]: value });
  const field = (name, label, hint, rest = {}) => html`<${TextField} label=${label} hint=${hint} value=${options[name]} onChange=${set(name)} ...${rest} />`;
  const number = (name, label, hint, rest) => field(name, label, hint, { type: "number", ...rest });
  const isOut = (name) => (isSchedule ? OF_JOBS : OF_SCHEDULES).has(name);
  const set_ = Object.entries(options).filter(([, text]) => text.trim()).length;
  return html`
    <details class="panel fold">
      <summary><h2>Options</h2><span class="faint">${set_ ? `${set_} set` : "key, priority, retries, time-out, tags …"}</span></summary>
      <div class="form is-three pad">
        ${field("key", "Key", "what limits are per: a tenant, a shop")}
        ${number("priority", "Priority", "0 first, 9 last; 5 if empty", { min: "0", max: "9" })}
        ${number("cost", "Cost", "tokens that a call takes", { min: "0", step: "any" })}
        ${number("maxAttempts", "Attempts at the most", "10 if empty", { min: "1", max: "100" })}
        ${field("timeout", "Time-out", "30s, 15m")}
        ${field("heartbeatTimeout", "Heartbeat time-out", "none if empty")}
        ${field("expiresIn", "Expires in", "not begun so long after it was due")}
        ${field("maxRetryDuration", "Retried for", "no new attempt so long after the first")}
        ${field("tags", "Tags", "words, to find it by")}
        ${!isOut("unique") && field("unique", "Unique handle", "one job of the queue has it at a time")}
        ${!isOut("maxRuns") && number("maxRuns", "Runs at the most", "", { min: "1" })}
        ${!isOut("overlap") &&
        html`<${SelectField} label="While a run still lives" value=${options.overlap ?? ""} onChange=${set("overlap")} choices=${[["", "skip the tick"], ["allow", "run beside it"], ["queue", "run after it"], ["cancel", "stop the older"]]} />`}
        <${JsonField} label="Meta" value=${options.meta ?? ""} onChange=${set("meta")} rows=${3} isOptional=${true} />
        <${JsonField} label="Backoff" value=${options.backoff ?? ""} onChange=${set("backoff")} rows=${3} isOptional=${true} />
        <${JsonField} label="On success" value=${options.onSuccess ?? ""} onChange=${set("onSuccess")} rows=${3} isOptional=${true} />
        <${JsonField} label="On failure" value=${options.onFailure ?? ""} onChange=${set("onFailure")} rows=${3} isOptional=${true} />
      </div>
    </details>
  `;
}
