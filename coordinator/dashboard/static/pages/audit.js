// Who has changed what.

import { read } from "../core/api.js";
import { useLoad, useTitle } from "../core/hooks.js";
import { go, to } from "../core/router.js";
import { html } from "../core/view.js";
import { Button, Chip, Empty, Loaded, PageHead, Time } from "../parts/bits.js";
import { Table } from "../parts/table.js";

const columnsOf = (names) => [
  { name: "When", kind: "main", cell: (deed) => html`<${Time} at=${deed.at} />` },
  { name: "Who", cell: (deed) => (deed.token ? html`${names.get(deed.token) ?? ""} <code class="faint">${deed.token}</code>` : html`<span class="faint">on this machine</span>`) },
  { name: "Did", cell: (deed) => html`<${Chip}>${deed.action.replaceAll("_", " ")}</${Chip}>` },
  { name: "To", kind: "note", cell: (deed) => html`<code>${deed.path}</code>` },
  { name: "From", cell: (deed) => html`<span class="faint">${deed.address ?? ""}</span>` },
];

export function Audit({ route }) {
  const { cursor } = route.query;
  const page = useLoad((signal) => read("/audit", { cursor, limit: 50 }, signal), [cursor], { everyMs: 3000 });
  const tokens = useLoad((signal) => read("/token", {}, signal), [], { on: () => false });
  const names = new Map((tokens.data?.items ?? []).map(({ id, name }) => [id, name]));
  useTitle("Audit log");
  return html`
    <${PageHead} title="Audit log" lead="Who has changed what, the newest first." />
    <${Loaded} of=${page}>
      ${({ items, cursor: next }) =>
        items.length
          ? html`
              <${Table} label="Changes" columns=${columnsOf(names)} rows=${items} keyOf=${(deed) => `${deed.at} ${deed.path} ${deed.token}`} />
              <nav class="pages" aria-label="Pages of changes">
                ${cursor && html`<${Button} onClick=${() => history.back()}>Back</${Button}>`}
                ${next && html`<${Button} onClick=${() => go(to("audit", { cursor: next }))}>Next page</${Button}>`}
              </nav>
            `
          : html`<${Empty} icon="audit" title="Nobody has changed anything yet" />`}
    </${Loaded}>
  `;
}
