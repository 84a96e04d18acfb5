// An address that leads to no page.

import { ButtonLink, Empty } from "../parts/bits.js";
import { html } from "../core/view.js";

export const Nowhere = () => html`
  <${Empty} icon="search" title="There is no such page" isPage><${ButtonLink} href="#/overview">Overview</${ButtonLink}></${Empty}>
`;
