// Dead letters: jobs that nothing more will be done for, by what killed them, so that a cause is dealt with at once.

import { read } from "../core/api.js";
import { count, plural } from "../core/format.js";
import { useLoad, useTitle } from "../core/hooks.js";
import { go, to } from "../core/router.js";
import { can, isHeld } from "../core/session.js";
import { namesOf, useQueues } from "../core/shared.js";
import { html } from "../core/view.js";
import { Button, Chip, Empty, Loaded, PageHead, Time } from "../parts/bits.js";
import { SelectField } from "../parts/fields.js";
import { attempt } from "../parts/toasts.js";
import { actOnAll } from "./bulk.js";
import { replayEdited } from "./job_actions.js";

const EVERY_MS = 3_000;
const CHANGES = new Set(["job.dead", "job.queued", "job.deleted"]);

export function Dead({ route }) {
  const queues = useQueues();
  const names = namesOf(queues);
  useTitle("Dead letters");
  if (isHeld() && !queues.data) {
    return html`<${PageHead} title="Dead letters" /><${Loaded} of=${queues} />`;
  }
  const queue = route.query.queue ?? (isHeld() ? names[0] : "") ?? "";
  const choices = [...(isHeld() ? [] : [["", "All queues"]]), ...names];
  return html`
    <${PageHead} title="Dead letters" lead="Jobs for which nothing more happens by itself, by what killed them.">
      ${choices.length > 1 &&
      html`<${SelectField} label="Queue" value=${queue} choices=${choices} onChange=${(next) => go(to("dead", { queue: next }), { replace: true })} />`}
    </${PageHead}>
    <${Groups} key=${queue} queue=${queue} />
  `;
}

function Groups({ queue }) {
  const dead = useLoad((signal) => read("/dead", { queue }, signal), [queue], { on: ({ type }) => CHANGES.has(type), everyMs: EVERY_MS });
  return html`
    <${Loaded} of=${dead}>
      ${({ groups, looked, isTruncated }) =>
        groups.length
          ? html`
              <ul class="groups">
                ${groups.map((group) => html`<${Group} key=${`${group.queue} ${group.worker} ${group.error?.type} ${group.error?.message}`} group=${group} onDone=${dead.reload} />`)}
              </ul>
              ${isTruncated && html`<p class="end faint">These are of the last ${plural(looked, "dead job")}; there are more.</p>`}
            `
          : isTruncated
            ? html`<${Empty} icon="search" title="None was found in time">There is too much to look through. A queue of its own is looked through sooner.</${Empty}>`
            : html`<${Empty} icon="check" title="No job is dead">What uses up its attempts, or is of no use to try again, would be here.</${Empty}>`}
    </${Loaded}>
  `;
}

function Group({ group, onDone }) {
  const { queue, worker, error, match, jobId } = group;
  // Some errors have no text that finds them: then all dead jobs of the worker are meant, and the buttons say so.
  const filter = { state: "dead", queue, worker, ...(match ? { error: match } : {}) };
  const all = match ? "" : ` all of ${worker}`;
  const act = async (name) => {
    if (await actOnAll(name, filter)) {
      onDone();
    }
  };
  const edit = async () => {
    const job = await attempt(() => read(`/job/${encodeURIComponent(jobId)}`));
    if (job && (await replayEdited(job))) {
      go(to(["jobs", jobId]));
    }
  };
  return html`
    <li class="group">
      <a class="group-count" href=${to("jobs", filter)} aria-label=${plural(group.count, "dead job")}>${count(group.count)}</a>
      <div class="group-what">
        <p class="group-error">${error?.type && html`<b>${error.type}</b> `}${error?.message ?? (error ? "" : "No error was told")}</p>
        <p class="faint">
          <${Chip} href=${to("jobs", { state: "dead", queue, worker })}>${worker}</${Chip}> in <a class="quiet" href=${to(["queues", queue])}>${queue}</a>,
          last <${Time} at=${group.lastAt} />, <a class="quiet" href=${to(["jobs", jobId])}>the newest</a>
        </p>
      </div>
      <div class="actions">
        ${can("manage") && html`
          <${Button} kind="small" icon="retry" onClick=${() => act("retry")}>Replay${all}</${Button}>
          <${Button} kind="small" icon="edit" onClick=${edit}>Replay one edited</${Button}>
          <${Button} kind="small quiet-danger" icon="trash" onClick=${() => act("delete")}>Delete${all}</${Button}>
        `}
      </div>
    </li>
  `;
}
