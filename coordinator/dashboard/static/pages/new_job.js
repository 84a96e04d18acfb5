// A new job, or one like another; now, later, or again and again. What the API would make of it can be tried first.

import { post, read } from "../core/api.js";
import { duration } from "../core/format.js";
import { useBusy, useTitle } from "../core/hooks.js";
import { parse, pretty, problemOf } from "../core/json.js";
import { go, to } from "../core/router.js";
import { can, heldQueues, session } from "../core/session.js";
import { namesOf, useQueues, useWorkers } from "../core/shared.js";
import { html, useEffect, useState } from "../core/view.js";
import { Button, PageHead, Panel, Time, Trouble } from "../parts/bits.js";
import { JsonField, Segments, TextField } from "../parts/fields.js";
import { toast } from "../parts/toasts.js";
import { bodyOf } from "./job_actions.js";
import { Options, optionsOf, textsOf } from "./job_options.js";
import { When, whenOf } from "./job_when.js";

const NEW = {
  worker: "",
  queue: "",
  args: "{\n  \n}",
  when: "now",
  delay: "",
  runAt: "",
  cron: "0 9 * * 1-5",
  every: "",
  isCron: true,
  timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
};

/** The one queue that the token is for, if it is for one. */
const onlyQueue = () => (session().queues.length === 1 ? (heldQueues()[0] ?? "") : "");

export function NewJob({ route }) {
  const { from, when, worker, queue = onlyQueue() } = route.query;
  const [fields, setFields] = useState({ ...NEW, when: when ?? NEW.when, worker: worker ?? "", queue });
  const [options, setOptions] = useState({});
  const [problem, setProblem] = useState(null);
  const [trial, setTrial] = useState(null);
  const [isBusy, run] = useBusy();
  const workers = namesOf(useWorkers()).filter((name) => name !== "*");
  const queues = [...new Set([...namesOf(useQueues()), ...heldQueues()])];
  const { queues: held } = session();
  useTitle("New job");
  useEffect(() => {
    if (from) {
      read(`/job/${encodeURIComponent(from)}`).then((job) => {
        setFields((before) => ({ ...before, worker: job.worker, queue: job.queue, args: pretty(job.args) }));
        setOptions(textsOf(bodyOf(job)));
      }, setProblem);
    }
  }, [from]);
  const set = (name) => (value) => {
    setTrial(null);
    setFields({ ...fields, [name]: value });
  };

  const body = () => ({
    worker: fields.worker.trim(),
    args: parse(fields.args),
    ...(fields.queue.trim() ? { queue: fields.queue.trim() } : {}),
    ...whenOf(fields),
    ...optionsOf(options),
  });
  const ask = (isDry) =>
    run(async () => {
      setProblem(null);
      try {
        const made = await post("/job", body(), isDry ? { dryRun: "true" } : {});
        if (isDry) {
          setTrial(made);
        } else {
          toast(made.duplicate ? "A job has this handle already; this is it." : made.kind === "schedule" ? "The schedule is made." : "The job is made.");
          go(can("read") ? to([made.kind === "schedule" ? "schedules" : "jobs", made.id]) : "#/new");
        }
      } catch (error) {
        setTrial(null);
        setProblem(error);
      }
    });
  const isReady = fields.worker.trim() && !problemOf(fields.args);
  const submit = (event) => {
    event.preventDefault();
    if (isReady) {
      void ask(false);
    }
  };

  return html`
    <${PageHead} title=${from ? "Duplicate a job" : "New job"} />
    <form class="new" onSubmit=${submit} onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit(event)}>
      <${Panel} title="What">
        <div class="form pad">
          <${TextField} label="Worker" hint="the function's name" value=${fields.worker} onChange=${set("worker")} choices=${workers} required autofocus />
          <${TextField} label="Queue" hint=${held.length ? `one that the token is for: ${held.join(", ")}` : "empty: that of its worker, or default"} required=${held.length > 0} value=${fields.queue} onChange=${set("queue")} choices=${queues} />
          <${JsonField} label="Arguments" value=${fields.args} onChange=${set("args")} rows=${9} />
        </div>
      </${Panel}>
      <${Panel} title="When" aside=${html`<${Segments} label="When" value=${fields.when} onChange=${set("when")} choices=${[["now", "Now"], ["later", "Later"], ["again", "Again and again"]]} />`}>
        <${When} fields=${fields} set=${set} />
      </${Panel}>
      <${Options} options=${options} isSchedule=${fields.when === "again"} onChange=${(next) => {
        setTrial(null);
        setOptions(next);
      }} />
      ${problem && html`<${Trouble} problem=${problem} />`}
      ${trial && html`<${Trial} trial=${trial} />`}
      <div class="form-foot">
        <${Button} disabled=${!isReady || isBusy} onClick=${() => ask(true)}>Dry run</${Button}>
        <button class="button primary" type="submit" disabled=${!isReady || isBusy}><span>${fields.when === "again" ? "Make the schedule" : "Make the job"}</span></button>
      </div>
    </form>
  `;
}

function Trial({ trial }) {
  const waits = trial.retrySchedule;
  return html`
    <${Panel} title="Dry run: nothing was stored" kind="trial">
      <dl class="facts">
        <div><dt>It would run</dt><dd>${trial.nextRuns.map((at) => html`<span key=${at} class="block"><${Time} at=${at} /></span>`)}</dd></div>
        <div><dt>In the queue</dt><dd>${trial.job.queue}</dd></div>
        <div><dt>After failures it waits</dt><dd>${waits.length ? waits.map((wait) => duration(wait)).join(", ") : "it is called once only"}</dd></div>
      </dl>
    </${Panel}>
  `;
}
