// Short messages that go by themselves: what was done, with a way back where there is one, or what went wrong.

import { html, useEffect, useState } from "../core/view.js";
import { Icon } from "./icons.js";

const SHOWN_MS = 6000;
const MOST = 4;

let shown = [];
let number = 0;
let redraw = () => {};

/** Show one. `undo` is `{label, act}`. */
export function toast(text, { isProblem = false, undo, href } = {}) {
  number += 1;
  const id = number;
  shown = [...shown.slice(-MOST + 1), { id, text, isProblem, undo, href }];
  redraw();
  setTimeout(() => drop(id), isProblem ? 2 * SHOWN_MS : SHOWN_MS);
}

/** Do it, and tell what came of it. Gives whether it was done. */
export async function attempt(act, done) {
  try {
    const result = await act();
    if (done) {
      const { text, ...rest } = typeof done === "string" ? { text: done } : done;
      toast(text, rest);
    }
    return result ?? true;
  } catch (problem) {
    toast(problem.message, { isProblem: true });
    return false;
  }
}

function drop(id) {
  shown = shown.filter((one) => one.id !== id);
  redraw();
}

export function Toasts() {
  const [, setNumber] = useState(0);
  useEffect(() => {
    redraw = () => setNumber((before) => before + 1);
    return () => {
      redraw = () => {};
    };
  }, []);
  return html`
    <div class="toasts" role="status" aria-live="polite">
      ${shown.map(
        (one) => html`
          <div key=${one.id} class=${`toast ${one.isProblem ? "is-problem" : ""}`}>
            <${Icon} name=${one.isProblem ? "dead" : "check"} />
            <span class="toast-text">${one.text}</span>
            ${one.href && html`<a class="toast-act" href=${one.href} onClick=${() => drop(one.id)}>Show</a>`}
            ${one.undo &&
            html`<button
              type="button"
              class="toast-act"
              onClick=${() => {
                drop(one.id);
                void attempt(one.undo.act, one.undo.done);
              }}
            >
              ${one.undo.label ?? "Undo"}
            </button>`}
            <button type="button" class="bare" aria-label="Dismiss" onClick=${() => drop(one.id)}><${Icon} name="close" /></button>
          </div>
        `,
      )}
    </div>
  `;
}
