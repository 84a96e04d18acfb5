// A JSON value to be looked at: objects and lists fold, and all of it can be copied.

import { isRaw, pretty } from "../core/json.js";
import { html, useState } from "../core/view.js";
import { Copyable } from "./bits.js";

const OPEN_DEPTH = 2;
const CHUNK = 100;
const LONG = 600;

export function JsonView({ value, label }) {
  if (value === undefined) {
    return null;
  }
  return html`
    <div class="json" role="group" aria-label=${label}>
      <div class="json-copy"><${Copyable} text=${pretty(value)} shown="" label=${label} /></div>
      <div class="json-tree"><${Node} value=${value} depth=${0} /></div>
    </div>
  `;
}

function Node({ name, value, depth, isLast = true }) {
  const isList = Array.isArray(value);
  const isObject = value !== null && typeof value === "object" && !isRaw(value);
  const entries = isObject ? Object.entries(value) : [];
  const [isOpen, setOpen] = useState(depth < OPEN_DEPTH && entries.length <= CHUNK);
  const [shown, setShown] = useState(CHUNK);
  const key = name === undefined ? null : html`<span class="json-key">${name}</span>: `;
  const comma = isLast ? "" : ",";
  if (!isObject) {
    return html`<div class="json-line">${key}<${Leaf} value=${value} />${comma}</div>`;
  }
  const [before, after] = isList ? "[]" : "{}";
  if (!entries.length) {
    return html`<div class="json-line">${key}${before}${after}${comma}</div>`;
  }
  const words = `${entries.length} ${isList ? "items" : "fields"}`;
  return html`
    <div class="json-node">
      <button type="button" class="json-fold" aria-expanded=${isOpen} aria-label=${`${name ?? "value"}, ${words}`} onClick=${() => setOpen(!isOpen)}>
        <span class="json-mark" aria-hidden="true">${isOpen ? "▾" : "▸"}</span>${key}${before}
        ${isOpen ? "" : html`<span class="faint"> ${words} </span>${after}${comma}`}
      </button>
      ${isOpen &&
      html`
        <div class="json-inside">
          ${entries
            .slice(0, shown)
            .map(
              ([inner, of], at) => html`
                <${Node} key=${inner} name=${isList ? undefined : inner} value=${of} depth=${depth + 1} isLast=${at === entries.length - 1} />
              `,
            )}
          ${shown < entries.length &&
          html`<button type="button" class="json-more" onClick=${() => setShown(shown + 10 * CHUNK)}>${entries.length - shown} more</button>`}
        </div>
        <div class="json-line">${after}${comma}</div>
      `}
    </div>
  `;
}

function Leaf({ value }) {
  const [isWhole, setWhole] = useState(false);
  const kind = isRaw(value) ? "number" : value === null ? "null" : typeof value;
  const text = JSON.stringify(value);
  if (text.length <= LONG || isWhole) {
    return html`<span class=${`json-${kind}`}>${text}</span>`;
  }
  return html`
    <span class=${`json-${kind}`}>${text.slice(0, LONG)}…</span>
    <button type="button" class="json-more" onClick=${() => setWhole(true)}>${text.length - LONG} more characters</button>
  `;
}
