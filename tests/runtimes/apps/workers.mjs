/** What every runtime serves: one worker for each thing that a function can do. workers.py is the same in Python. */

import { Failure, Fatal, Retry, Snooze, Throttled, worker } from "../../../coordinator/sdk/coordinator.mjs";

const seen = new Set();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

worker("succeeds", (args) => ({ echo: args }));

worker("fails", () => {
  throw new Failure("no such address");
});

worker("throws", async function throws() {
  throw new Error("boom");
});

worker("retries", (_, job) => {
  if (job.attempt === 1) throw new Retry({ after: 1 });
  return job.attempt;
});

worker("snoozes", (_, job) => {
  if (isFirstTime(job)) throw new Snooze({ after: 1 });
});

worker("throttled", (_, job) => {
  if (isFirstTime(job)) throw new Throttled({ after: 1, limits: { remaining: 0, max: 40, restoreRate: 20 } });
});

worker("fatal", () => {
  throw new Fatal("never");
});

worker("sleeps", (args) => sleep(args.seconds * 1000));

worker("beats", async (_, job) => {
  await job.heartbeat({ progress: 50, message: "half", extend: "10s" });
  await sleep(1500);
});

worker("cancels", async (_, job) => {
  for (;;) {
    await job.heartbeat();
    job.signal.throwIfAborted();
    await sleep(100);
  }
});

worker("sorts", (jobs) => jobs.map(({ args }) => (args.fail ? new Failure("not this one") : { n: args.n })), {
  batch: true,
});

function isFirstTime(job) {
  const isFirst = !seen.has(job.id);
  seen.add(job.id);
  return isFirst;
}
