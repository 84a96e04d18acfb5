// The settings of a worker as a form. A worker is set as a whole, and what is secret of it is never told: where there is
// such a value it has to be given again, or removed. A reference (`env:NAME`) is no secret, and stays.

import { put } from "../core/api.js";
import { exact } from "../core/format.js";
import { useBusy } from "../core/hooks.js";
import { html, useState } from "../core/view.js";
import { Button, Trouble } from "../parts/bits.js";
import { CheckField, SelectField, TextField } from "../parts/fields.js";

/** Stands in an answer for what is not told. */
const HIDDEN = "[hidden]";
const TIMEOUT_MS = 900_000;

const AUTHS = [
  ["", "nothing more"],
  ["bearer", "a bearer token"],
  ["google-id-token", "a Google ID token"],
  ["aws-sigv4", "AWS Signature Version 4"],
];
/** What each kind of `auth` takes. */
const AUTH_FIELDS = {
  bearer: [{ name: "token", label: "Token", isSecret: true, isNeeded: true }],
  "google-id-token": [{ name: "audience", label: "Audience", hint: "the URL, if empty" }],
  "aws-sigv4": [
    { name: "region", label: "Region", hint: "such as eu-central-1", isNeeded: true },
    { name: "service", label: "Service", hint: "lambda, if empty" },
    { name: "accessKeyId", label: "Access key id", hint: "that of the coordinator, if empty", isSecret: true },
    { name: "secretAccessKey", label: "Secret access key", isSecret: true },
    { name: "sessionToken", label: "Session token", isSecret: true },
  ],
};

export const pathOf = (name) => `/worker/${name.split("/").map(encodeURIComponent).join("/")}`;

/** `worker` is the one to be changed; without it a new one is registered. Closes with its name when that is done. */
export function WorkerForm({ worker, onClose }) {
  const [fields, setFields] = useState(() => fieldsOf(worker));
  const [problem, setProblem] = useState(null);
  const [isBusy, run] = useBusy();
  const set = (name) => (value) => setFields({ ...fields, [name]: value });
  const field = (name, label, hint, rest) => html`<${TextField} label=${label} hint=${hint} value=${fields[name]} onChange=${set(name)} ...${rest} />`;
  const secret = (name, label, hint) => html`<${SecretField} label=${label} hint=${hint} secret=${fields[name]} onChange=${set(name)} />`;
  const submit = (event) => {
    event.preventDefault();
    // What was typed stays if it is refused: a secret may have been shown to its owner just once.
    void run(() => put(pathOf(fields.name.trim()), bodyOf(fields)).then(() => onClose(fields.name.trim()), setProblem));
  };
  return html`
    <form class="form" onSubmit=${submit}>
      ${hasHidden(worker) && html`<p class="is-wide faint">A worker is set as a whole, and what is secret of it is never shown: give that again, or remove it.</p>`}
      ${!worker && field("name", "Name", "* is for all that have none of their own", { required: true })}
      ${field("url", "URL", "", { type: "url", required: true, isWide: Boolean(worker) })}
      <${SelectField} label="A job is done when" value=${fields.ack} onChange=${set("ack")} choices=${[["receipt", "a receipt says so"], ["response", "the call is answered 2xx"]]} />
      ${field("timeout", "Time-out", "30s; 15m, if empty")}
      ${field("size", "Jobs in a call", "empty: one, by itself", { type: "number", min: "1", max: "100" })}
      ${field("window", "The first waits for others", "100ms, if empty", { disabled: !fields.size })}
      ${secret("secret", "Secret", "that signs the calls: env:NAME, or whsec_…")}
      ${secret("previousSecret", "Previous secret", "signs them too, while it is replaced")}
      ${field("queue", "Queue", "of its jobs that name none")}
      <${SelectField} label="The platform wants" value=${fields.type} onChange=${set("type")} choices=${AUTHS} />
      <${AuthFields} type=${fields.type} auth=${fields.auth} onChange=${set("auth")} />
      <${Headers} headers=${fields.headers} onChange=${set("headers")} />
      ${problem && html`<div class="is-wide"><${Trouble} problem=${problem} /></div>`}
      <footer class="dialog-foot is-wide">
        <${Button} onClick=${() => onClose(null)}>Leave it</${Button}>
        <button class="button primary" type="submit" disabled=${isBusy}><span>${worker ? "Save" : "Register"}</span></button>
      </footer>
    </form>
  `;
}

function AuthFields({ type, auth, onChange }) {
  return (AUTH_FIELDS[type] ?? []).map(({ name, label, hint, isSecret, isNeeded }) => {
    const set = (value) => onChange({ ...auth, [name]: value });
    const given = auth[name] ?? secretOf(null);
    return isSecret
      ? html`<${SecretField} key=${name} label=${label} hint=${hint} secret=${given} onChange=${set} isNeeded=${isNeeded} />`
      : html`<${TextField} key=${name} label=${label} hint=${hint} value=${given.text} onChange=${(text) => set({ ...given, text })} required=${isNeeded} />`;
  });
}

/** One that is there but hidden has to be given, or removed. */
function SecretField({ label, hint, secret, onChange, isNeeded = false }) {
  const { text, isHidden, isRemoved } = secret;
  return html`
    <div class="secret">
      <${TextField}
        label=${label}
        hint=${isHidden ? "set, but not shown: give it again" : hint}
        value=${text}
        onChange=${(next) => onChange({ ...secret, text: next })}
        required=${isNeeded || (isHidden && !isRemoved)}
        disabled=${isRemoved}
      />
      ${isHidden && !isNeeded && html`<${CheckField} label="Remove it" value=${isRemoved} onChange=${(next) => onChange({ ...secret, isRemoved: next, text: "" })} />`}
    </div>
  `;
}

function Headers({ headers, onChange }) {
  const change = (at, next) => onChange(headers.map((header, each) => (each === at ? { ...header, ...next } : header)));
  const remove = (at) => onChange(headers.map((header, each) => (each === at ? null : header)));
  return html`
    <fieldset class="is-wide">
      <legend>Headers of each call; a value is text, or env:NAME</legend>
      ${headers.map((header, at) =>
        // Those that were removed leave a gap, so that the others keep their fields.
        header && html`
          <div key=${at} class="header-row">
            <input ref=${(input) => input?.setCustomValidity(isTaken(headers, at) ? "Another header has this name." : "")} aria-label="Name of the header" placeholder="name" value=${header.name} onInput=${(event) => change(at, { name: event.target.value })} autocomplete="off" spellcheck=${false} required />
            <input aria-label=${`Value of ${header.name || "the header"}`} placeholder=${header.isHidden ? "not shown: give it again" : "value"} value=${header.text} onInput=${(event) => change(at, { text: event.target.value })} autocomplete="off" spellcheck=${false} required=${header.isHidden} />
            <${Button} kind="bare" icon="trash" label=${`Remove the header ${header.name}`} onClick=${() => remove(at)} />
          </div>
        `,
      )}
      <div><${Button} kind="small" icon="plus" onClick=${() => onChange([...headers, { name: "", ...secretOf(null) }])}>Header</${Button}></div>
    </fieldset>
  `;
}

/** Whether a header before it has its name, in any case: what is sent holds one of them. */
const isTaken = (headers, at) => headers.slice(0, at).some((header) => header && nameOf(header) === nameOf(headers[at]));

const nameOf = ({ name }) => name.trim().toLowerCase();

/** A value as a field holds it. */
const secretOf = (value) => ({ text: value === HIDDEN ? "" : (value ?? ""), isHidden: value === HIDDEN, isRemoved: false });

const hasHidden = (worker) => Boolean(worker) && JSON.stringify(worker).includes(JSON.stringify(HIDDEN));

function fieldsOf(worker) {
  const { type = "", ...auth } = worker?.auth ?? {};
  // An audience that follows the URL goes on to.
  const own = Object.entries(auth).filter(([name, value]) => !(name === "audience" && value === worker.url.split("?")[0]));
  return {
    name: worker?.name ?? "",
    url: worker?.url ?? "",
    ack: worker?.ack ?? "receipt",
    timeout: exact(worker ? worker.timeoutMs : TIMEOUT_MS),
    queue: worker?.queue ?? "",
    size: String(worker?.batch?.size ?? ""),
    window: exact(worker?.batch?.windowMs),
    secret: secretOf(worker?.secret),
    previousSecret: secretOf(worker?.previousSecret),
    type,
    auth: Object.fromEntries(own.map(([name, value]) => [name, secretOf(value)])),
    headers: Object.entries(worker?.headers ?? {}).map(([name, value]) => ({ name, ...secretOf(value) })),
  };
}

function bodyOf({ url, ack, timeout, queue, size, window, secret, previousSecret, type, auth, headers }) {
  const given = (text) => text.trim() || null;
  const named = (AUTH_FIELDS[type] ?? []).map(({ name }) => [name, given(auth[name]?.text ?? "")]);
  return {
    url: url.trim(),
    ack,
    timeout: given(timeout),
    queue: given(queue),
    secret: given(secret.text),
    previousSecret: given(previousSecret.text),
    headers: Object.fromEntries(headers.filter(Boolean).map(({ name, text }) => [name.trim(), text])),
    auth: type ? { type, ...Object.fromEntries(named.filter(([, value]) => value)) } : null,
    batch: size ? { size: Number(size), ...(given(window) && { window: window.trim() }) } : null,
  };
}
