// Who may do what: the tokens of the API. The text of a new one is shown once.

import { post, read, remove } from "../core/api.js";
import { useLoad, useTitle } from "../core/hooks.js";
import { html, useState } from "../core/view.js";
import { Badge, Button, Chip, Copyable, Empty, Loaded, PageHead, Time } from "../parts/bits.js";
import { confirm, open } from "../parts/dialogs.js";
import { CheckField, TextField } from "../parts/fields.js";
import { Table } from "../parts/table.js";
import { attempt } from "../parts/toasts.js";

const SCOPES = [
  ["enqueue", "enqueue: new jobs"],
  ["read", "read: to look"],
  ["manage", "manage: to change jobs, queues, schedules"],
  ["receipt", "receipt: to report for any job"],
  ["admin", "admin: everything"],
];

export function Tokens() {
  const tokens = useLoad((signal) => read("/token", {}, signal), [], { on: () => false });
  useTitle("Tokens");
  const make = async () => {
    const body = await open({ title: "New token", body: (close) => html`<${TokenForm} onClose=${close} />` });
    const made = body && (await attempt(() => post("/token", body)));
    if (made) {
      tokens.reload();
      await open({ title: "Copy the token now", body: (close) => html`<${Told} made=${made} onClose=${close} />` });
    }
  };
  const revoke = async (token) => {
    const text = "Within a second it opens nothing more, on any replica.";
    if ((await confirm({ title: `Revoke ${token.name}?`, text, action: "Revoke" })) && (await attempt(() => remove(`/token/${encodeURIComponent(token.id)}`), "The token is revoked."))) {
      tokens.reload();
    }
  };
  const columns = [
    { name: "Token", kind: "main", cell: (token) => html`<b>${token.name}</b> <span class="job-id"><${Copyable} text=${token.id} /></span>` },
    { name: "Scopes", cell: (token) => token.scopes.map((scope) => html`<${Chip} key=${scope}>${scope}</${Chip}> `) },
    { name: "Queues", cell: (token) => (token.queues.length ? token.queues.map((queue) => html`<${Chip} key=${queue}>${queue}</${Chip}> `) : html`<span class="faint">all</span>`) },
    { name: "Ends", kind: "number", cell: (token) => html`<${Time} at=${token.expiresAt} none="never" />` },
    { name: "Last used", kind: "number", cell: (token) => html`<${Time} at=${token.lastUsedAt} />` },
    { name: "", kind: "end", cell: (token) => (token.isSetting ? html`<${Badge} state="scheduled">setting</${Badge}>` : html`<${Button} kind="small quiet-danger" icon="trash" onClick=${() => revoke(token)}>Revoke</${Button}>`) },
  ];
  return html`
    <${PageHead} title="Tokens"><${Button} icon="plus" kind="primary" onClick=${make}>New token</${Button}></${PageHead}>
    <${Loaded} of=${tokens}>
      ${({ items }) => (items.length ? html`<${Table} label="Tokens" columns=${columns} rows=${items} keyOf=${({ id }) => id} />` : html`<${Empty} icon="tokens" title="There is no token">Whoever is on this machine may do everything. The first token closes that door.</${Empty}>`)}
    </${Loaded}>
  `;
}

const Told = ({ made, onClose }) => html`
  <p>It is shown this once; of it nothing but a digest is kept.</p>
  <p class="told"><${Copyable} text=${made.token} label="token" /></p>
  <footer class="dialog-foot"><${Button} kind="primary" onClick=${() => onClose(null)}>I have it</${Button}></footer>
`;

function TokenForm({ onClose }) {
  const [fields, setFields] = useState({ name: "", queues: "", expiresIn: "90d", scopes: ["read"] });
  const set = (name) => (value) => setFields({ ...fields, [name]: value });
  const submit = (event) => {
    event.preventDefault();
    const queues = fields.queues.split(/[\s,]+/).filter(Boolean);
    onClose({ name: fields.name.trim(), scopes: fields.scopes, queues, expiresIn: fields.expiresIn.trim() || null });
  };
  return html`
    <form class="form" onSubmit=${submit}>
      <${TextField} label="Name" hint="who, or what, uses it" value=${fields.name} onChange=${set("name")} required />
      <${TextField} label="Ends after" hint="90d; empty: never" value=${fields.expiresIn} onChange=${set("expiresIn")} />
      <${TextField} label="Queues" hint="names, or mail-*; empty: all" value=${fields.queues} onChange=${set("queues")} isWide=${true} />
      <fieldset class="is-wide">
        <legend>For</legend>
        ${SCOPES.map(
          ([scope, label]) => html`
            <${CheckField} key=${scope} label=${label} value=${fields.scopes.includes(scope)} onChange=${(isSet) => set("scopes")(isSet ? [...fields.scopes, scope] : fields.scopes.filter((one) => one !== scope))} />
          `,
        )}
      </fieldset>
      <footer class="dialog-foot is-wide">
        <${Button} onClick=${() => onClose(null)}>Leave it</${Button}>
        <button class="button primary" type="submit" disabled=${!fields.scopes.length}><span>Make it</span></button>
      </footer>
    </form>
  `;
}
