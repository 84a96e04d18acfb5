// The filters of a list of jobs, as chips: each is changed or taken off by itself, and all of them stand in the address.

import { isHeld } from "../core/session.js";
import { namesOf, useQueues, useWorkers } from "../core/shared.js";
import { html, useEffect, useRef, useState } from "../core/view.js";
import { Icon } from "../parts/icons.js";

export const FILTERS = [
  { name: "queue", title: "Queue", hint: "its name" },
  { name: "worker", title: "Worker", hint: "its name" },
  { name: "key", title: "Key", hint: "a tenant, a shop" },
  { name: "tag", title: "Tag", hint: "one word" },
  { name: "error", title: "Error has", hint: "a part of the last error" },
  { name: "scheduleId", title: "Schedule", hint: "name or id" },
  { name: "batchId", title: "Batch", hint: "its id" },
  { name: "createdAfter", title: "Created after", hint: "", isInstant: true },
  { name: "finishedBefore", title: "Finished before", hint: "", isInstant: true },
];

export function Filters({ query, onChange, children }) {
  const [edited, setEdited] = useState(null);
  const queues = namesOf(useQueues());
  const workers = namesOf(useWorkers()).filter((name) => name !== "*");
  const choices = { queue: queues, worker: workers };
  const apply = (name, value) => {
    setEdited(null);
    onChange({ [name]: value.trim() });
  };
  const set = FILTERS.filter(({ name }) => query[name] && name !== edited);
  const rest = FILTERS.filter(({ name }) => !query[name] && name !== edited);
  const filter = FILTERS.find(({ name }) => name === edited);
  return html`
    <div class="filters" role="group" aria-label="Filters">
      ${set.map(
        ({ name, title, isInstant }) => html`
          <span key=${name} class="filter">
            <button type="button" class="filter-edit" onClick=${() => setEdited(name)} title="Change">
              <span class="faint">${title}</span> ${isInstant ? localOf(query[name]).replace("T", " ") : query[name]}
            </button>
            ${!(isHeld() && name === "queue") &&
            html`<button type="button" class="bare" aria-label=${`Remove the filter ${title}`} onClick=${() => apply(name, "")}><${Icon} name="close" /></button>`}
          </span>
        `,
      )}
      ${filter &&
      html`<${Editor} key=${filter.name} filter=${filter} value=${query[filter.name] ?? ""} choices=${choices[filter.name]} onApply=${(value) => apply(filter.name, value)} onClose=${() => setEdited(null)} />`}
      <label class="filter-add">
        <${Icon} name="filter" />
        <span class="unseen">Add a filter</span>
        <select value="" onChange=${(event) => {
          const { value } = event.target;
          event.target.value = "";
          setEdited(value);
        }}>
          <option value="">Filter</option>
          ${rest.map(({ name, title }) => html`<option key=${name} value=${name}>${title}</option>`)}
        </select>
      </label>
      ${children}
    </div>
  `;
}

function Editor({ filter, value, choices, onApply, onClose }) {
  const [text, setText] = useState(filter.isInstant && value ? localOf(value) : value);
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  const apply = () => onApply(filter.isInstant && text ? new Date(text).toISOString() : text);
  return html`
    <form
      class="filter is-edited"
      onSubmit=${(event) => {
        event.preventDefault();
        apply();
      }}
      onKeyDown=${(event) => event.key === "Escape" && onClose()}
    >
      <label class="faint" for=${`filter-${filter.name}`}>${filter.title}</label>
      <input
        id=${`filter-${filter.name}`}
        ref=${field}
        type=${filter.isInstant ? "datetime-local" : "text"}
        value=${text}
        placeholder=${filter.hint}
        list=${choices ? `choices-${filter.name}` : undefined}
        onInput=${(event) => setText(event.target.value)}
        autocomplete="off"
        autocapitalize="none"
        spellcheck=${false}
      />
      ${choices && html`<datalist id=${`choices-${filter.name}`}>${choices.map((name) => html`<option key=${name} value=${name} />`)}</datalist>`}
      <button type="submit" class="bare" aria-label="Apply"><${Icon} name="check" /></button>
      <button type="button" class="bare" aria-label="Leave" onClick=${onClose}><${Icon} name="close" /></button>
    </form>
  `;
}

/** An instant as a field of a browser takes it: in the viewer's own zone. */
function localOf(instant) {
  const date = new Date(instant);
  return Number.isNaN(date.getTime()) ? "" : new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
