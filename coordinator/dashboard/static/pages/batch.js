// One batch: how far it is, and its jobs.

import { post, read } from "../core/api.js";
import { count } from "../core/format.js";
import { useLoad, useTitle } from "../core/hooks.js";
import { to } from "../core/router.js";
import { can, isHeld } from "../core/session.js";
import { html } from "../core/view.js";
import { Badge, Button, ButtonLink, Copyable, Empty, Facts, Loaded, Meter, Panel, Time } from "../parts/bits.js";
import { confirm } from "../parts/dialogs.js";
import { attempt } from "../parts/toasts.js";

export function Batch({ route }) {
  const id = route.parts[1];
  const path = `/batch/${encodeURIComponent(id)}`;
  const batch = useLoad((signal) => read(path, {}, signal), [id], { on: (event) => event.type.startsWith("job.") });
  useTitle(`Batch ${id}`);
  if (batch.problem?.status === 404) {
    return html`<${Empty} icon="jobs" title="There is no such batch" isPage>A complete batch can be read for a day.</${Empty}>`;
  }
  const cancel = async () => {
    const text = "Its jobs that wait are cancelled, and those that run are asked to stop.";
    if ((await confirm({ title: "Cancel this batch?", text, action: "Cancel the batch" })) && (await attempt(() => post(`${path}/cancel`), "It is cancelled."))) {
      batch.reload();
    }
  };
  return html`
    <${Loaded} of=${batch}>
      ${(found) => html`
        <header class="page-head">
          <div class="page-title">
            <h1 tabindex="-1">Batch</h1>
            <${Badge} state=${found.state === "open" ? "running" : "succeeded"}>${found.state}</${Badge}>
            <div class="page-id"><${Copyable} text=${id} label="batch's id" /></div>
          </div>
          <div class="actions">
            <${ButtonLink} icon="jobs" href=${to("jobs", { batchId: id })}>Its jobs</${ButtonLink}>
            ${can("manage") && !isHeld() && found.state === "open" && html`<${Button} icon="close" kind="quiet-danger" onClick=${cancel}>Cancel</${Button}>`}
          </div>
        </header>
        <${Panel} title="How far it is" aside=${`${count(found.total - found.pending)} of ${count(found.total)}`}>
          <div class="pad"><${Meter} percent=${found.total ? (100 * (found.total - found.pending)) / found.total : 100} label="Jobs that have ended" /></div>
          <${Facts}
            items=${[
              ...["pending", "succeeded", "dead", "cancelled", "refused"].map((name) => [name, count(found[name])]),
              ["Made", html`<${Time} at=${found.createdAt} />`],
              ["Complete", found.completedAt && html`<${Time} at=${found.completedAt} />`],
            ]}
          />
        </${Panel}>
      `}
    </${Loaded}>
  `;
}
