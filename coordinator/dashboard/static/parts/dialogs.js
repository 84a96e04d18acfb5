// Dialogs: one at a time, above everything; Esc closes it and the focus goes back to where it was.

import { classes, html, useEffect, useRef, useState } from "../core/view.js";
import { Button } from "./bits.js";

let shown = null;
let redraw = () => {};

/** Show a dialog; `body` draws what is in it and gets `close(answer)`. Resolves to the answer, null if it was closed. */
export function open({ title, body, isWide = false }) {
  return new Promise((resolve) => {
    shown?.resolve(null);
    shown = { title, body, isWide, resolve };
    redraw();
  });
}

/** Ask whether it is meant. Resolves to true or false. */
export async function confirm({ title, text, action, isDangerous = true }) {
  const body = (close) => html`
    <p>${text}</p>
    <footer class="dialog-foot">
      <${Button} onClick=${() => close(null)}>Keep</${Button}>
      <${Button} kind=${isDangerous ? "danger" : "primary"} onClick=${() => close(true)} autofocus>${action}</${Button}>
    </footer>
  `;
  return (await open({ title, body })) === true;
}

function finish(answer) {
  const was = shown;
  shown = null;
  redraw();
  was?.resolve(answer);
}

export function Dialogs() {
  const [, setNumber] = useState(0);
  const element = useRef(null);
  useEffect(() => {
    redraw = () => setNumber((before) => before + 1);
    return () => {
      redraw = () => {};
    };
  }, []);
  useEffect(() => {
    if (shown && element.current && !element.current.open) {
      element.current.showModal();
      element.current.querySelector("[autofocus], input, textarea, select")?.focus();
    }
  });
  if (!shown) {
    return null;
  }
  return html`
    <dialog
      key=${shown.title}
      ref=${element}
      class=${classes("dialog", shown.isWide && "is-wide")}
      aria-label=${shown.title}
      onCancel=${(event) => {
        event.preventDefault();
        finish(null);
      }}
      onClick=${(event) => event.target === element.current && finish(null)}
    >
      <div class="dialog-inside">
        <div class="dialog-head">
          <h2>${shown.title}</h2>
          <${Button} kind="bare" icon="close" label="Close" onClick=${() => finish(null)} />
        </div>
        ${shown.body(finish)}
      </div>
    </dialog>
  `;
}
