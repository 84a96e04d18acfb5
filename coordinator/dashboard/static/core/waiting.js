// Why a job is not running, in plain words. Pure.

import { plural, relative } from "./format.js";

/** For each reason `{title, more, until}`; `until` is what a countdown runs to. */
export function reasonsOf(job, now) {
  return job.waitingFor.map((reason) => wordsOf(reason, job, now));
}

function wordsOf(reason, job, now) {
  const whose = reason.key ? `the key ${reason.key}` : `the queue ${job.queue}`;
  const told = { until: reason.until, type: reason.type, queue: reason.queue, key: reason.key, worker: reason.worker };
  switch (reason.type) {
    case "runAt":
      return job.state === "retrying"
        ? { ...told, title: "It waits for its next try", more: `Attempt ${job.attempt} failed, and the backoff runs.` }
        : { ...told, title: "Its time has not come", more: "It was asked to run later." };
    case "limit":
      return { ...told, title: `The rate of ${whose} is used up`, more: "It goes on when new tokens have flowed in." };
    case "concurrency":
      return {
        ...told,
        title: `${whose[0].toUpperCase()}${whose.slice(1)} runs as many jobs as it may`,
        more: `${reason.limit ? `${plural(reason.limit, "job")} at a time. ` : ""}One has to end first.`,
      };
    case "paused":
      return { ...told, title: `Somebody has paused ${whose}`, more: "It goes on when that is resumed." };
    case "retryAfter":
      return { ...told, title: `The other side asked ${whose} to wait`, more: "A function was answered “too many”." };
    case "circuit":
      return {
        ...told,
        title: `The worker ${job.worker} failed too often in a row`,
        more: reason.until ? `It is tried again ${relative(reason.until, now)}.` : "It is tried again soon.",
      };
    case "turn":
      return reason.ahead
        ? { ...told, title: "It is not its turn yet", more: `${plural(reason.ahead, "job")} of its line go first.` }
        : { ...told, title: "It is the next of its line", more: "No job goes before it." };
    default:
      return { ...told, title: `It waits for ${reason.type}`, more: "" };
  }
}
