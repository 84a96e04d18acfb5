// What finds: an id goes straight to its job, any other text to what it may be the name of.

import { read } from "../core/api.js";
import { go, to } from "../core/router.js";
import { can, isHeld } from "../core/session.js";
import { namesOf, useQueues, useWorkers } from "../core/shared.js";
import { html, useRef, useState } from "../core/view.js";
import { Badge } from "../parts/bits.js";
import { Icon } from "../parts/icons.js";
import { toast } from "../parts/toasts.js";

/** Ids of jobs, and of the runs of schedules. */
const ID = /^[0-9A-HJKMNP-TV-Z]{26}(:\d+)?$/i;
const MOST = 4;
const QUEUES_MOST = 40;

export function Finder() {
  const [text, setText] = useState("");
  const [isOpen, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const field = useRef(null);
  const queues = namesOf(useQueues());
  const workers = namesOf(useWorkers());
  const choices = text.trim() ? choicesOf(text.trim(), queues, workers) : [];

  const leave = () => {
    setText("");
    setOpen(false);
    field.current.blur();
  };
  const choose = async (choice) => {
    const address = choice.address ?? (await found(text.trim()));
    if (address) {
      leave();
      go(address);
    } else {
      toast(`No job has the id or the unique handle ${text.trim()}.`, { isProblem: true });
    }
  };
  const heed = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && choices.length) {
      event.preventDefault();
      setAt((at + step + choices.length) % choices.length);
    } else if (event.key === "Enter" && choices.length) {
      event.preventDefault();
      void choose(choices[Math.min(at, choices.length - 1)]);
    } else if (event.key === "Escape") {
      leave();
    }
  };
  const heedPaste = (event) => {
    const pasted = event.clipboardData.getData("text").trim();
    if (ID.test(pasted)) {
      event.preventDefault();
      leave();
      go(to(["jobs", pasted]));
    }
  };

  if (!can("read")) {
    return html`<span></span>`;
  }
  const isShown = isOpen && choices.length > 0;
  return html`
    <div class="finder">
      <${Icon} name="search" />
      <input
        id="find"
        ref=${field}
        type="text"
        role="combobox"
        aria-label="Find"
        aria-expanded=${isShown}
        aria-controls="found"
        aria-autocomplete="list"
        aria-activedescendant=${isShown ? `found-${Math.min(at, choices.length - 1)}` : undefined}
        placeholder="Find a job, queue, worker…"
        autocomplete="off"
        autocapitalize="none"
        spellcheck=${false}
        value=${text}
        onInput=${(event) => {
          setText(event.target.value);
          setAt(0);
          setOpen(true);
        }}
        onPaste=${heedPaste}
        onKeyDown=${heed}
        onFocus=${() => setOpen(true)}
        onBlur=${() => setOpen(false)}
      />
      <kbd class="finder-key" aria-hidden="true">/</kbd>
      <ul id="found" class="found" role="listbox" aria-label="What it may be" hidden=${!isShown}>
        ${choices.map(
          (choice, number) => html`
            <li
              key=${choice.id}
              id=${`found-${number}`}
              role="option"
              aria-selected=${number === Math.min(at, choices.length - 1)}
              onMouseDown=${(event) => event.preventDefault()}
              onClick=${() => void choose(choice)}
              onMouseMove=${() => setAt(number)}
            >
              <${Icon} name=${choice.icon} /><span class="faint">${choice.what}</span> <b>${choice.name}</b>
              ${choice.state && html`<${Badge} state=${choice.state} />`}
            </li>
          `,
        )}
      </ul>
    </div>
  `;
}

function choicesOf(text, queues, workers) {
  const fits = (name) => name.toLowerCase().includes(text.toLowerCase());
  const scope = isHeld() && queues.length ? { queue: queues[0] } : {};
  const job = { id: "job", icon: "jobs", what: ID.test(text) ? "Job" : "Job with the id or unique handle", name: text };
  const named = [
    ...queues.filter(fits).slice(0, MOST).map((name) => ({ id: `q ${name}`, icon: "queues", what: "Queue", name, address: to(["queues", name]) })),
    ...workers
      .filter((name) => name !== "*" && fits(name))
      .slice(0, MOST)
      .map((name) => ({ id: `w ${name}`, icon: "workers", what: "Jobs of the worker", name, address: to("jobs", { worker: name, ...scope }) })),
  ];
  const filters = [
    { id: "tag", icon: "filter", what: "Jobs with the tag", name: text, address: to("jobs", { tag: text, ...scope }) },
    { id: "key", icon: "key", what: "Jobs with the key", name: text, address: to("jobs", { key: text, ...scope }) },
    { id: "error", icon: "dead", what: "Dead jobs whose error has", name: text, address: to("jobs", { state: "dead", error: text, ...scope }) },
  ];
  return ID.test(text) ? [{ ...job, address: to(["jobs", text]) }] : [...named, job, ...filters];
}

/** Where the job with this id or this handle is shown; null if there is none. */
async function found(text) {
  try {
    const thing = await read(`/job/${encodeURIComponent(text)}`);
    return to([thing.kind === "schedule" ? "schedules" : "jobs", thing.id]);
  } catch {
    // It is no id. A handle is one within its queue, so each is asked, also one that has begun a moment ago.
  }
  const none = { items: [] };
  const { items: queues } = await read("/queue").catch(() => none);
  const pages = await Promise.all(
    queues.slice(0, QUEUES_MOST).map(({ name }) => read("/job", { queue: name, unique: text }).catch(() => none)),
  );
  const job = pages.flatMap(({ items }) => items)[0];
  return job ? to(["jobs", job.id]) : null;
}
