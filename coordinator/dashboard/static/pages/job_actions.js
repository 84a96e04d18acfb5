// What can be done with one job, by its state. What can be taken back says so; what cannot is asked about.

import { patch, post, remove } from "../core/api.js";
import { parse, pretty, problemOf } from "../core/json.js";
import { go, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { Button, ButtonLink, WAITING } from "../parts/bits.js";
import { confirm, open } from "../parts/dialogs.js";
import { JsonField } from "../parts/fields.js";
import { attempt } from "../parts/toasts.js";

export const pathOf = (id) => `/job/${encodeURIComponent(id)}`;

export function JobActions({ job, onChanged }) {
  const isWaiting = WAITING.includes(job.state);
  const isOver = ["dead", "cancelled"].includes(job.state);
  const isManaging = can("manage");
  const act = async (deed, done) => {
    if (await attempt(deed, done)) {
      onChanged();
    }
  };
  const undoBy = (verb) => ({ act: () => post(`${pathOf(job.id)}/${verb}`).then(onChanged) });
  const run = () => act(() => post(`${pathOf(job.id)}/run`), "It is due now.");
  const retry = () => act(() => post(`${pathOf(job.id)}/retry`), { text: "It is tried anew.", undo: { label: "Cancel it", ...undoBy("cancel") } });
  const cancel = () =>
    act(
      () => post(`${pathOf(job.id)}/cancel`),
      isWaiting ? { text: "It is cancelled.", undo: undoBy("retry") } : "Its function is asked to stop.",
    );
  const erase = async () => {
    const text = "The job, its result and its attempts are erased. This cannot be taken back.";
    if (await confirm({ title: "Delete this job?", text, action: "Delete" })) {
      if (await attempt(() => remove(pathOf(job.id)), "The job is deleted.")) {
        go(to("jobs", { state: job.state, queue: job.queue }), { replace: true });
      }
    }
  };
  const replay = async () => {
    if (await replayEdited(job)) {
      onChanged();
    }
  };
  const edit = async () => {
    const args = await askArgs("Edit the arguments", job.args, "Save");
    if (args) {
      await act(() => patch(pathOf(job.id), { args: args.value }), "The arguments are changed.");
    }
  };
  return html`
    ${isManaging && isOver && html`<${Button} kind="primary" icon="retry" onClick=${retry}>Retry</${Button}>`}
    ${isManaging && isOver && html`<${Button} icon="edit" onClick=${replay}>Replay edited</${Button}>`}
    ${isManaging && ["scheduled", "retrying"].includes(job.state) && html`<${Button} kind="primary" icon="play" onClick=${run}>Run now</${Button}>`}
    ${isManaging && isWaiting && html`<${Button} icon="edit" onClick=${edit}>Edit arguments</${Button}>`}
    ${can("enqueue") && html`<${ButtonLink} icon="copy" href=${to("new", { from: job.id })}>Duplicate</${ButtonLink}>`}
    ${isManaging && (isWaiting || job.state === "running") && html`<${Button} icon="close" kind="quiet-danger" onClick=${cancel}>Cancel</${Button}>`}
    ${isManaging && !isWaiting && job.state !== "running" && html`<${Button} icon="trash" kind="quiet-danger" onClick=${erase}>Delete</${Button}>`}
  `;
}

/** The same job anew with other arguments, in one step of the server. Whether it is. */
export async function replayEdited(job) {
  const args = await askArgs("Replay with other arguments", job.args, "Replay");
  return Boolean(args && (await attempt(() => post(`${pathOf(job.id)}/retry`, { args: args.value }), "It is tried anew with other arguments.")));
}

/** The body of `POST /job` that asks for the same once more, now. */
export function bodyOf(job) {
  const backoff = job.backoff && { type: job.backoff.type, base: job.backoff.baseMs, factor: job.backoff.factor, max: job.backoff.maxMs, jitter: job.backoff.jitter };
  const body = {
    worker: job.worker,
    args: job.args,
    queue: job.queue,
    key: job.key,
    priority: job.priority,
    cost: job.cost,
    timeout: job.timeoutMs,
    heartbeatTimeout: job.heartbeatTimeoutMs,
    expiresIn: job.expiresInMs,
    maxRetryDuration: job.maxRetryDurationMs,
    unique: job.unique,
    tags: job.tags,
    meta: job.meta,
    onSuccess: job.onSuccess,
    onFailure: job.onFailure,
    ...(job.retry ? { retry: job.retry } : { maxAttempts: job.maxAttempts, backoff }),
  };
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null && value !== undefined));
}

/** Resolves to `{value}`, or null. */
export function askArgs(title, args, action) {
  return open({ title, isWide: true, body: (close) => html`<${ArgsForm} args=${args} action=${action} onClose=${close} />` });
}

function ArgsForm({ args, action, onClose }) {
  const [text, setText] = useState(pretty(args));
  const submit = (event) => {
    event.preventDefault();
    if (!problemOf(text)) {
      onClose({ value: parse(text) });
    }
  };
  return html`
    <form onSubmit=${submit} onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit(event)}>
      <${JsonField} label="Arguments" value=${text} onChange=${setText} rows=${14} />
      <footer class="dialog-foot">
        <${Button} onClick=${() => onClose(null)}>Leave it</${Button}>
        <button class="button primary" type="submit" disabled=${Boolean(problemOf(text))}><span>${action}</span></button>
      </footer>
    </form>
  `;
}
