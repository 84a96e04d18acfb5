/** What the types have to allow, and to refuse: compiled, not run. */

import { createServer } from "node:http";

import { Coordinator, CoordinatorError, Failure, Fatal, Retry, Snooze, Throttled, worker, wrap } from "coordinator-sdk";
import type { Handler, Job, Receipt } from "coordinator-sdk";

interface Email {
  to: string;
}

const sendEmail = async (args: Email, job: Job<Email>): Promise<{ id: number }> => {
  const remaining: number = job.maxAttempts - job.attempt;
  if (remaining < 0) throw new Fatal("never", { data: { remaining } });
  if (job.key === null) throw new Snooze({ after: "5m" });
  if (args.to === "") throw new Failure("no address", { type: "NoAddress", retryable: false });
  const { cancelRequested, delivered } = await job.heartbeat({ progress: 50, message: "half", extend: "10m" });
  if (cancelRequested || !delivered) throw job.signal.reason;
  job.limits({ used: 32, max: 40 });
  await fetch("https://example.com", { signal: job.signal });
  if (job.deadline && job.deadline.getTime() < Date.now()) throw new Throttled();
  if (job.isLastAttempt) throw new Retry({ after: 2, cause: new Error("boom") });
  return { id: 1 };
};

export const handler: Handler<Email, { id: number }> = wrap(sendEmail, { secret: ["a", undefined], report: "never" });

worker("send-email", sendEmail);
worker("thumb", (jobs: Job<{ n: number }>[]) => jobs.map((job) => (job.args.n ? job.args.n : new Failure("no"))), {
  batch: true,
});
export const all = wrap();
export const few = wrap({ "send-email": sendEmail, noop: () => undefined }, { unsigned: true });
export const together = wrap(async (jobs: Job<Email>[]) => jobs.map(() => 1), { batch: true });

// As the platforms want it.
createServer(wrap(sendEmail));
export const POST: (request: Request, context: { params: Promise<{}> }) => Promise<Response> = wrap(sendEmail);
export default { fetch: wrap(sendEmail) } satisfies {
  fetch(request: Request, env: { COORDINATOR_SECRET: string }, context: unknown): Promise<Response>;
};

export const tried = async (): Promise<Receipt<{ id: number }>> => {
  const { receipt, heartbeats } = await handler.test(
    { to: "a@b.c" },
    { attempt: 2, onHeartbeat: () => ({ cancelRequested: true }) },
  );
  const progress: number | undefined = heartbeats[0]?.progress;
  if (progress === 50) await wrap(sendEmail).test({ to: "" });
  return receipt;
};

export const client = async (): Promise<string> => {
  const coordinator = new Coordinator("http://127.0.0.1:8000", "token");
  const job = await coordinator.enqueue("send-email", { to: "a@b.c" }, { delay: "10m", unique: { by: ["worker"] } });
  const schedule = await coordinator.enqueue("report", {}, { cron: "0 9 * * *", timezone: "Europe/Berlin" });
  const batch = await coordinator.enqueueMany([{ worker: "resize", args: 1 }], { onComplete: { worker: "report" } });
  for await (const found of coordinator.list({ state: "dead" })) {
    await coordinator.retry(found.id);
    await coordinator.retry(found.id, { args: { to: "c@d.e" } });
  }
  try {
    await coordinator.wait(job.id, { timeout: 30 });
  } catch (error) {
    if (error instanceof CoordinatorError) return error.errors[0]?.path ?? error.code;
  }
  return `${schedule.nextRunAt} ${batch.pending}`;
};

// @ts-expect-error A snooze needs its time.
new Snooze({});
// @ts-expect-error No such option.
wrap(sendEmail, { secert: "x" });
// @ts-expect-error The args are those of the function.
handler.test({ to: 1 });
// @ts-expect-error What is no function is no worker.
wrap({ name: "x" });
// @ts-expect-error There is no such field.
new Coordinator().enqueue("a", {}, { dealy: "10m" });
// @ts-expect-error A batch worker takes jobs.
worker("x", (n: number) => [n], { batch: true });
