// Tables: dense rows, and on a phone a card for each. Arrows go from row to row, Enter opens one.

import { classes, html } from "../core/view.js";

/**
 * Columns are `{name, cell(row), kind, isHidden}`; the first cell that holds a link is where the keys go.
 * `selection` is `{has(row), toggle(row, isRange), toggleAll(), isAll}`.
 */
export function Table({ label, columns, rows, keyOf, selection, rowClass }) {
  return html`
    <div class="table-wrap">
      <table class="table" aria-label=${label} onKeyDown=${walk}>
        <thead>
          <tr>
            ${selection &&
            html`<th class="pick"><input type="checkbox" aria-label="Select all on this page" checked=${selection.isAll} onChange=${selection.toggleAll} /></th>`}
            ${columns.map(({ name, kind, title }) => html`<th key=${name} scope="col" class=${kind} title=${title}>${name || html`<span class="unseen">Actions</span>`}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map((row) => {
            const isPicked = selection?.has(row);
            return html`
              <tr key=${keyOf(row)} class=${classes(isPicked && "is-picked", rowClass?.(row))}>
                ${selection &&
                html`
                  <td class="pick">
                    <input type="checkbox" aria-label=${`Select ${keyOf(row)}`} checked=${isPicked} onClick=${(event) => selection.toggle(row, event.shiftKey)} />
                  </td>
                `}
                ${columns.map(({ name, kind, cell }) => html`<td key=${name} class=${kind} data-label=${name}>${cell(row)}</td>`)}
              </tr>
            `;
          })}
        </tbody>
      </table>
    </div>
  `;
}

const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };

function walk(event) {
  const step = STEPS[event.key];
  const row = event.target.closest("tbody tr");
  if (!row || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select")) {
    return;
  }
  if (event.key === "x") {
    row.querySelector(".pick input")?.click();
    return;
  }
  const next = step === 1 ? row.nextElementSibling : step === -1 ? row.previousElementSibling : null;
  const target = next?.querySelector("a, button, input");
  if (target) {
    event.preventDefault();
    (next.querySelector("a") ?? target).focus();
  }
}

/** The first row has the focus, when an arrow is pressed and nothing has it. Gives whether there is one. */
export function focusFirstRow() {
  const first = document.querySelector("main tbody tr a, main tbody tr button");
  first?.focus();
  return Boolean(first);
}
