// The settings of a queue as a form. A queue is set as a whole, so what is not asked for here is sent back as it was.

import { exact } from "../core/format.js";
import { html, useState } from "../core/view.js";
import { Button } from "../parts/bits.js";
import { CheckField, TextField } from "../parts/fields.js";

export function QueueForm({ queue, onClose }) {
  const [fields, setFields] = useState(() => fieldsOf(queue));
  const field = (name, label, hint, rest = {}) => html`
    <${TextField} label=${label} hint=${hint} value=${fields[name]} onChange=${(value) => setFields({ ...fields, [name]: value })} ...${rest} />
  `;
  const number = (name, label, hint) => field(name, label, hint, { type: "number", min: "0", step: "any" });
  const submit = (event) => {
    event.preventDefault();
    onClose(bodyOf(queue, fields));
  };
  return html`
    <form class="form is-three" onSubmit=${submit}>
      <fieldset>
        <legend>All jobs of the queue together</legend>
        ${number("concurrency", "Run at a time", "empty: any number")}
        ${number("rate", "Calls", "empty: no rate")}
        ${field("period", "in", "1s, 1m, 1h")}
        ${number("burst", "at once", "empty: as many as calls")}
      </fieldset>
      <fieldset>
        <legend>Jobs of each key</legend>
        ${number("keyConcurrency", "Run at a time", "empty: any number")}
        ${number("keyRate", "Calls", "empty: no rate")}
        ${field("keyPeriod", "in", "1s, 1m, 1h")}
        ${number("keyBurst", "at once", "empty: as many as calls")}
      </fieldset>
      <fieldset>
        <legend>Besides</legend>
        ${number("maxWaiting", "May wait at the most")}
        ${number("maxAttempts", "Attempts, if a job names none")}
        ${field("timeout", "Time-out, if a job names none", "30s, 15m")}
        <${CheckField} label="A worker that fails too often in a row rests" value=${fields.isCircuit} onChange=${(isCircuit) => setFields({ ...fields, isCircuit })} />
        ${fields.isCircuit && number("failures", "after failures")}
        ${fields.isCircuit && field("open", "for", "30s")}
      </fieldset>
      <footer class="dialog-foot is-wide">
        <${Button} onClick=${() => onClose(null)}>Leave them</${Button}>
        <button class="button primary" type="submit"><span>Set</span></button>
      </footer>
    </form>
  `;
}

function fieldsOf(queue) {
  const text = (value) => (value === null || value === undefined ? "" : String(value));
  return {
    concurrency: text(queue.concurrency),
    rate: text(queue.rate?.limit),
    period: exact(queue.rate?.periodMs ?? 1000),
    burst: text(queue.rate?.burst),
    keyConcurrency: text(queue.perKey.concurrency),
    keyRate: text(queue.perKey.rate?.limit),
    keyPeriod: exact(queue.perKey.rate?.periodMs ?? 1000),
    keyBurst: text(queue.perKey.rate?.burst),
    maxWaiting: text(queue.maxWaiting),
    maxAttempts: text(queue.defaults.maxAttempts),
    timeout: exact(queue.defaults.timeoutMs),
    isCircuit: queue.circuit !== null,
    failures: text(queue.circuit?.failures ?? 20),
    open: exact(queue.circuit?.openMs ?? 30_000),
  };
}

function bodyOf(queue, fields) {
  const number = (text) => (text.trim() ? Number(text) : null);
  const rate = (limit, period, burst) => (limit.trim() ? { limit: Number(limit), period, burst: number(burst) } : null);
  const { backoff } = queue.defaults;
  return {
    concurrency: number(fields.concurrency),
    rate: rate(fields.rate, fields.period, fields.burst),
    perKey: { concurrency: number(fields.keyConcurrency), rate: rate(fields.keyRate, fields.keyPeriod, fields.keyBurst) },
    maxWaiting: number(fields.maxWaiting) ?? queue.maxWaiting,
    circuit: fields.isCircuit ? { failures: number(fields.failures) ?? 20, open: fields.open } : null,
    defaults: {
      maxAttempts: number(fields.maxAttempts),
      timeout: fields.timeout.trim() || null,
      backoff: backoff && { type: backoff.type, base: backoff.baseMs, factor: backoff.factor, max: backoff.maxMs, jitter: backoff.jitter },
    },
    retention: Object.fromEntries(Object.entries(queue.retention).map(([state, { ageMs, count }]) => [state, { age: ageMs, count }])),
  };
}
