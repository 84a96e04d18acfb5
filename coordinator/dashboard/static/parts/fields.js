// Fields of forms: each with its label, a hint, and what is wrong with it.

import { problemOf, pretty } from "../core/json.js";
import { html, useId } from "../core/view.js";
import { Button } from "./bits.js";

/** One field around what `children(id, described)` draws. */
export function Field({ label, hint, problem, children, isWide }) {
  const id = useId();
  const described = hint || problem ? `${id}-hint` : undefined;
  return html`
    <div class=${`field ${isWide ? "is-wide" : ""}`}>
      <label for=${id}>${label}</label>
      ${children(id, described)}
      ${(hint || problem) && html`<p id=${described} class=${problem ? "hint problem" : "hint"} role=${problem ? "alert" : undefined}>${problem || hint}</p>`}
    </div>
  `;
}

export const TextField = ({ label, hint, problem, value, onChange, isWide, choices, ...rest }) => html`
  <${Field} label=${label} hint=${hint} problem=${problem} isWide=${isWide}>
    ${(id, described) => html`
      <input
        id=${id}
        value=${value ?? ""}
        onInput=${(event) => onChange(event.target.value)}
        aria-describedby=${described}
        aria-invalid=${problem ? "true" : undefined}
        list=${choices ? `${id}-choices` : undefined}
        autocomplete="off"
        autocapitalize="none"
        spellcheck=${false}
        ...${rest}
      />
      ${choices && html`<datalist id=${`${id}-choices`}>${choices.map((choice) => html`<option key=${choice} value=${choice} />`)}</datalist>`}
    `}
  </${Field}>
`;

/** Choices are `[value, text]` or texts. */
export const SelectField = ({ label, hint, value, onChange, choices, ...rest }) => html`
  <${Field} label=${label} hint=${hint}>
    ${(id, described) => html`
      <select id=${id} value=${value} onChange=${(event) => onChange(event.target.value)} aria-describedby=${described} ...${rest}>
        ${choices.map((choice) => {
          const [each, text] = Array.isArray(choice) ? choice : [choice, choice];
          return html`<option key=${each} value=${each} selected=${each === value}>${text}</option>`;
        })}
      </select>
    `}
  </${Field}>
`;

export const CheckField = ({ label, value, onChange }) => html`
  <label class="check"><input type="checkbox" checked=${value} onChange=${(event) => onChange(event.target.checked)} />${label}</label>
`;

/** An editor of JSON: says where it stops being JSON, and puts it in order. */
export function JsonField({ label, value, onChange, rows = 8, isOptional = false }) {
  const problem = isOptional && !value.trim() ? "" : problemOf(value);
  const format = () => onChange(pretty(JSON.parse(value)));
  const keep = (event) => {
    // Tab stays a key that leaves the field; two spaces come with each line instead.
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      const { selectionStart: at, selectionEnd: end } = event.target;
      const indent = /(^|\n)([ ]*)[^\n]*$/.exec(value.slice(0, at))[2];
      const deeper = /[{[]\s*$/.test(value.slice(0, at)) ? "  " : "";
      event.preventDefault();
      event.target.setRangeText(`\n${indent}${deeper}`, at, end, "end");
      onChange(event.target.value);
    }
  };
  return html`
    <${Field} label=${label} problem=${problem} hint=${problem ? "" : isOptional ? "JSON, or empty" : "JSON"} isWide=${true}>
      ${(id, described) => html`
        <div class="editor">
          <textarea
            id=${id}
            rows=${rows}
            value=${value}
            onInput=${(event) => onChange(event.target.value)}
            onKeyDown=${keep}
            aria-describedby=${described}
            aria-invalid=${problem ? "true" : undefined}
            spellcheck=${false}
            autocapitalize="none"
          ></textarea>
          <${Button} kind="small editor-format" disabled=${Boolean(problem) || !value.trim()} onClick=${format}>Format</${Button}>
        </div>
      `}
    </${Field}>
  `;
}

/** One of a few, as buttons side by side. Choices are `[value, text]`. */
export const Segments = ({ label, value, choices, onChange }) => html`
  <div class="segments" role="group" aria-label=${label}>
    ${choices.map(
      ([each, text]) => html`
        <button key=${each} type="button" aria-pressed=${each === value} onClick=${() => onChange(each)}>${text}</button>
      `,
    )}
  </div>
`;
