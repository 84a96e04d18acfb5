// The small parts that all pages are made of.

import { absolute, relative } from "../core/format.js";
import { useMode, useNow } from "../core/hooks.js";
import { hasStream } from "../core/live.js";
import { session } from "../core/session.js";
import { classes, html, useEffect, useRef, useState } from "../core/view.js";
import { Icon } from "./icons.js";
import { toast } from "./toasts.js";

export const STATES = ["queued", "scheduled", "retrying", "running", "succeeded", "dead", "cancelled"];
export const WAITING = ["queued", "scheduled", "retrying"];

/** The state of a job, a schedule, an attempt. */
export const Badge = ({ state, children }) => html`<span class=${`badge is-${state}`}>${children ?? state}</span>`;

/** An instant: how long ago, with all of it as the title. */
export function Time({ at, none = "–" }) {
  const now = useNow();
  if (!at) {
    return html`<span class="faint">${none}</span>`;
  }
  return html`<time datetime=${at} title=${absolute(at)}>${relative(at, now)}</time>`;
}

/** A text that is copied when it is clicked. */
export function Copyable({ text, label = "id", shown }) {
  const [isCopied, setCopied] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      toast("Your browser does not let this page copy; select the text instead.", { isProblem: true });
      return;
    }
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 1200);
  };
  return html`
    <span class="copyable">
      <code>${shown ?? text}</code>
      <button class="bare" type="button" onClick=${copy} aria-label=${isCopied ? "Copied" : `Copy the ${label}`} title=${`Copy the ${label}`}>
        <${Icon} name=${isCopied ? "check" : "copy"} />
      </button>
    </span>
  `;
}

/** The beginning of a page: what it is, what can be done. */
export const PageHead = ({ title, lead, badge, children }) => html`
  <header class="page-head">
    <div class="page-title">
      <h1 tabindex="-1">${title}</h1>
      ${badge}
      ${lead && html`<p class="faint">${lead}</p>`}
    </div>
    ${children && html`<div class="actions">${children}</div>`}
  </header>
`;

/** A button with an icon. */
export const Button = ({ icon, kind = "", children, label, ...rest }) => html`
  <button type="button" class=${classes("button", kind)} aria-label=${label} title=${label} ...${rest}>
    ${icon && html`<${Icon} name=${icon} />`}${children && html`<span>${children}</span>`}
  </button>
`;

/** A link that looks like one. */
export const ButtonLink = ({ icon, kind = "", href, children, ...rest }) => html`
  <a class=${classes("button", kind)} href=${href} ...${rest}>
    ${icon && html`<${Icon} name=${icon} />`}<span>${children}</span>
  </a>
`;

/** A part of a page with a title of its own. */
export const Panel = ({ title, aside, children, kind }) => html`
  <section class=${classes("panel", kind)} aria-label=${title}>
    ${title && html`<header class="panel-head"><h2>${title}</h2>${aside && html`<div class="aside">${aside}</div>`}</header>`}
    ${children}
  </section>
`;

/** Where there is nothing: what would be here, and how it comes to be. `isPage` if it is all that there is to see. */
export const Empty = ({ icon = "jobs", title, isPage, children }) => html`
  <div class="empty">
    <span class="empty-icon"><${Icon} name=${icon} /></span>
    ${isPage ? html`<h1 class="empty-title" tabindex="-1">${title}</h1>` : html`<p class="empty-title">${title}</p>`}
    ${children && html`<div class="faint">${children}</div>`}
  </div>
`;

/** Rows that will be there. */
export const Skeleton = ({ rows = 6 }) => html`
  <div class="skeleton" role="status" aria-label="Loading">
    ${Array.from({ length: rows }, (_, at) => html`<span key=${at} class="bone"></span>`)}
  </div>
`;

/** What was read, or that it is being read, or why it cannot be. */
export function Loaded({ of, rows, children }) {
  if (of.data !== undefined) {
    return html`${of.problem && html`<${Trouble} problem=${of.problem} />`}${children(of.data)}`;
  }
  if (of.problem) {
    return html`<${Trouble} problem=${of.problem} onRetry=${of.reload} />`;
  }
  return html`<${Skeleton} rows=${rows} />`;
}

/** What the API says against it. */
export const Trouble = ({ problem, onRetry }) => html`
  <div class="trouble" role="alert">
    <${Icon} name="dead" />
    <span>${problem.message}</span>
    ${onRetry && html`<${Button} kind="small" onClick=${onRetry}>Try again</${Button}>`}
  </div>
`;

/** Names and values. Those without a value are left out. */
export const Facts = ({ items }) => html`
  <dl class="facts">
    ${items
      .filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false)
      .map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>
`;

export const Chip = ({ href, children }) =>
  href ? html`<a class="chip" href=${href}>${children}</a>` : html`<span class="chip">${children}</span>`;

/** How far something is, from 0 to 100. */
export const Meter = ({ percent, label, tone }) => html`
  <div class=${classes("meter", tone && `is-${tone}`)} role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(percent)}>
    <span style=${{ width: `${Math.max(0, Math.min(100, percent))}%` }}></span>
  </div>
`;

const MODES = {
  live: ["Live", "What happens is shown as it happens"],
  polling: ["Every 5 s", "There is no event stream: what is shown is read anew every 5 seconds"],
  off: ["Paused", "Nothing is read while the tab is hidden"],
};

/** Whether the page follows what happens. */
export function LiveMark() {
  const mode = useMode();
  const [word, title] = MODES[mode];
  const { queues } = session();
  const why = mode === "polling" && !hasStream(queues) ? `A token for ${queues.join(", ")} has no event stream: what is shown is read anew every 5 seconds` : title;
  return html`<span class=${`live is-${mode}`} title=${why}><span class="dot" aria-hidden="true"></span>${word}</span>`;
}
