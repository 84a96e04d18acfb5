// What the keys do.

import { html } from "../core/view.js";
import { open } from "../parts/dialogs.js";
import { placesSeen } from "./places.js";

const KEYS = [
  ["/", "Find a job by its id or handle, a queue, a worker, a tag"],
  ["c", "New job"],
  ["↓ ↑", "From row to row (also j and k)"],
  ["Enter", "Open the row"],
  ["x", "Select the row"],
  ["Esc", "Close what is open, leave a field"],
  ["?", "This"],
];

export function showHelp() {
  const body = () => html`
    <dl class="keys">
      ${KEYS.map(([key, what]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}
      ${placesSeen().map(
        ({ key, title }) => html`<div key=${key}><dt><kbd>g</kbd> <kbd>${key}</kbd></dt><dd>${title}</dd></div>`,
      )}
    </dl>
  `;
  void open({ title: "Keyboard shortcuts", body });
}
