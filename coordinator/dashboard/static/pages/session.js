// Who has signed in, and what that token is for.

import { useTitle } from "../core/hooks.js";
import { html, useEffect, useRef } from "../core/view.js";
import { Time } from "../parts/bits.js";

export function SessionPage({ session }) {
  const title = session.isOpen ? "Everybody here" : session.name;
  const heading = useRef(null);
  useTitle(title);
  useEffect(() => heading.current.focus(), []);
  return html`
    <section class="panel narrow" aria-label=${title}>
      <p class="faint">${session.isOpen ? "No token is needed on this machine" : `Token ${session.tokenId}`}</p>
      <h1 id="name" ref=${heading} tabindex="-1">${title}</h1>
      <dl class="facts">
        <div><dt>Scopes</dt><dd><${Chips} id="scopes" texts=${session.scopes} /></dd></div>
        <div><dt>Queues</dt><dd><${Chips} id="queues" texts=${session.queues.length ? session.queues : ["all"]} /></dd></div>
        ${session.expiresAt && html`<div id="until"><dt>Until</dt><dd><${Time} at=${session.expiresAt} /></dd></div>`}
      </dl>
    </section>
  `;
}

const Chips = ({ id, texts }) => html`
  <ul class="chips" id=${id}>${texts.map((text) => html`<li key=${text} class="chip">${text}</li>`)}</ul>
`;
