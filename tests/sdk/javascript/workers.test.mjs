/** Which function is run: one for all names, a registry, batches; and what is posted meanwhile. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Failure, Snooze, VERSION, worker, wrap } from "../../../coordinator/sdk/coordinator.mjs";
import { SECRET, batchOf, coordinator, jobOf, requestOf, send } from "./calls.mjs";

const secret = SECRET;
const n = (value) => ({ args: { n: value } });
const SUCCESS = { status: "success", result: 1 };

test("a ping is answered, and no function is run", async () => {
  const ping = { ping: true, worker: "x" };
  const never = () => assert.fail("the function was run");
  const pong = { pong: true, sdk: `javascript ${VERSION}` };
  assert.deepEqual(await send(wrap(never, { secret }), ping), [200, { ...pong, workers: null }]);
  assert.deepEqual(await send(wrap({ b: never, a: never }, { secret }), ping), [200, { ...pong, workers: ["a", "b"] }]);
  assert.equal((await send(wrap(never, { secret }), ping, { body: `${JSON.stringify(ping)} ` }))[0], 401);
});

test("a function gets its args and its job", async () => {
  let given;
  const call = jobOf({ key: "shop", meta: { a: 1 }, scheduledFor: "2030-01-01T00:00:00.000Z", scheduleId: "morning" });
  await send(
    wrap((...all) => void (given = all), { secret }),
    call,
  );
  const [args, job] = given;
  assert.equal(args, job.args);
  const { id, worker, attempt, maxAttempts, queue, key, meta, scheduledFor, scheduleId, isLastAttempt } = job;
  const { jobId, ...told } = call;
  const same = { worker, attempt, maxAttempts, queue, key, meta, scheduleId, scheduledFor: scheduledFor.toISOString() };
  assert.deepEqual({ ...told, ...same }, told);
  assert.deepEqual([id, isLastAttempt, job.signal.aborted], [jobId, false, false]);
});

test("a registry runs the one that is meant, and says what else there is", async () => {
  worker("send-email", () => 1);
  worker("another", () => 2);
  assert.deepEqual(await send(wrap(undefined, { secret }), jobOf()), [200, SUCCESS]);
  for (const call of [jobOf({ worker: "constructor" }), { ...batchOf({}), worker: "constructor" }]) {
    const error = "no worker 'constructor' is deployed here; deployed are: another, send-email";
    assert.deepEqual(await send(wrap(undefined, { secret }), call), [404, { code: "worker_not_deployed", error }]);
  }
  assert.match((await send(wrap({}, { secret }), jobOf()))[1].error, /deployed are: none/);
});

test("a worker that takes one job at a time gets the jobs of a batch all at once", async () => {
  let running = 0;
  let release;
  const all = new Promise((resolve) => (release = resolve));
  const work = async ({ n }, job) => {
    if ((running += 1) === 3) release();
    await all;
    if (n === 2) throw new Failure("two");
    return [n, job.id, job.worker];
  };
  const [status, { receipts }] = await send(wrap(work, { secret }), batchOf(n(1), n(2), n(3)));
  assert.equal(status, 200);
  assert.deepEqual(
    receipts.map(({ jobId, status }) => [jobId, status]),
    [
      ["job-1", "success"],
      ["job-2", "failure"],
      ["job-3", "success"],
    ],
  );
  assert.deepEqual(receipts[2].result, [3, "job-3", "send-email"]);
});

test("a batch worker answers for each of its jobs", async () => {
  const work = (jobs) => jobs.map(({ args }) => [args.n, new Failure("no"), new Snooze({ after: 9 }), 7n][args.n]);
  const handler = wrap(work, { secret, batch: true });
  const [, { receipts }] = await send(handler, batchOf(n(0), n(1), n(2), n(3)));
  assert.deepEqual(receipts[0], { status: "success", result: 0, jobId: "job-1" });
  assert.deepEqual(
    receipts.map((receipt) => receipt.status),
    ["success", "failure", "snooze", "failure"],
  );
  assert.equal(receipts[3].error.type, "UnserializableResult");
  assert.deepEqual(await send(handler, jobOf(n(0))), [200, { status: "success", result: 0 }]);
});

test("a batch worker that answers for too few fails all, and one that throws does so for all", async () => {
  const receiptsOf = async (work) => (await send(wrap(work, { secret, batch: true }), batchOf(n(1), n(2))))[1].receipts;
  for (const work of [() => [1], () => undefined, () => "ab", () => ({ length: 2 }), async () => [1, 2, 3]]) {
    for (const { status, error } of await receiptsOf(work)) {
      assert.equal(status, "failure");
      assert.match(error.message, /an array, with an entry for each of its 2 jobs/);
    }
  }
  const snoozed = await receiptsOf(() => {
    throw new Snooze({ after: 1 });
  });
  assert.deepEqual(
    snoozed.map((receipt) => [receipt.status, receipt.retryAfter]),
    [
      ["snooze", 1],
      ["snooze", 1],
    ],
  );
});

test("a batch worker is registered as one", async () => {
  worker("sorts", (jobs) => jobs.map((job) => job.args.n), { batch: true });
  const [, { receipts }] = await send(wrap(null, { secret }), { ...batchOf(n(5)), worker: "sorts" });
  assert.deepEqual(receipts, [{ status: "success", result: 5, jobId: "job-1" }]);
  assert.throws(() => worker("x", "no function"), /x is no function/);
});

test("a receipt is posted before it is answered, if the function took long", async (t) => {
  const { url, requests } = await coordinator(t, [200, { accepted: true }]);
  let now = Date.now();
  const handler = wrap(() => void (now += 10_000) ?? 1, { secret, url, now: () => now });
  assert.deepEqual(await send(handler, jobOf()), [200, SUCCESS]);
  const [{ path, headers, body }] = requests;
  assert.deepEqual([path, headers.authorization], ["/job/job-1/receipt", undefined]);
  assert.deepEqual(body, { ...SUCCESS, attempt: 1, token: "1.abc" });
});

test("a short one is not, and a long one neither if that is said", async (t) => {
  const { url, requests } = await coordinator(t, [200]);
  let now = Date.now();
  await send(
    wrap(() => void (now += 9_900), { secret, url, now: () => now }),
    jobOf(),
  );
  await send(
    wrap(() => void (now += 60_000), { secret, url, report: "never", now: () => now }),
    jobOf(),
  );
  assert.deepEqual(requests, []);
});

test("the receipts of a batch are posted together", async (t) => {
  const { url, requests } = await coordinator(t, [404]);
  const handler = wrap(() => 1, { secret, url, report: "always" });
  assert.equal((await send(handler, batchOf(n(1), n(2))))[0], 200);
  const receipts = [1, 2].map((at) => ({ ...SUCCESS, jobId: `job-${at}`, attempt: 1, token: `1.${at}` }));
  assert.deepEqual(
    requests.map(({ path, body }) => [path, body]),
    [["/receipt", { receipts }]],
  );
});

test("a post is tried three times, and its failure changes nothing", async (t) => {
  const { url, requests } = await coordinator(t, [503], null, [429]);
  const handler = wrap(() => 1, { secret, url, report: "always" });
  assert.deepEqual(await send(handler, jobOf()), [200, SUCCESS]);
  assert.equal(requests.length, 3);
});

test("what is refused is not tried again", async (t) => {
  const { url, requests } = await coordinator(t, [409]);
  await send(
    wrap(() => 1, { secret, url, report: "always" }),
    jobOf(),
  );
  assert.equal(requests.length, 1);
});

test("posts go where the call says only if the call is signed", async (t) => {
  const { url, requests } = await coordinator(t, [200]);
  const call = jobOf({ receiptUrl: `${url}/base/job/job-1/receipt` });
  await send(
    wrap(() => 1, { unsigned: true, report: "always" }),
    call,
  );
  assert.deepEqual(requests, []);
  await send(
    wrap(() => 1, { secret, report: "always" }),
    call,
  );
  await send(
    wrap(() => 1, { secret, report: "always" }),
    { ...batchOf({}), jobs: [call] },
  );
  assert.deepEqual(
    requests.map(({ path }) => path),
    ["/base/job/job-1/receipt", "/base/receipt"],
  );
});

test("posts go to the address of the environment before that", async (t) => {
  const { url, requests } = await coordinator(t, [200]);
  t.after(() => ["URL", "TOKEN"].forEach((name) => delete process.env[`COORDINATOR_${name}`]));
  Object.assign(process.env, { COORDINATOR_URL: "http://127.0.0.1:9", COORDINATOR_TOKEN: "process" });
  const handler = wrap(() => 1, { secret, report: "always" });
  await send(handler, jobOf(), { env: { COORDINATOR_URL: `${url}/`, COORDINATOR_TOKEN: "own" } });
  assert.deepEqual(
    requests.map(({ path, headers }) => [path, headers.authorization]),
    [["/job/job-1/receipt", undefined]],
  );
});

test("an id is one part of a path, whatever is in it", async (t) => {
  const { url, requests } = await coordinator(t, [200]);
  await send(
    wrap(() => 1, { secret, url, report: "always" }),
    jobOf({ jobId: "a/../b:7" }),
  );
  assert.equal(requests[0].path, "/job/a%2F..%2Fb%3A7/receipt");
});

test("the handler takes a request as it is", async () => {
  const answer = await wrap(() => 1, { secret })(requestOf(jobOf()));
  assert.ok(answer instanceof Response);
  assert.deepEqual(
    [answer.status, answer.headers.get("content-type"), await answer.json()],
    [200, "application/json", SUCCESS],
  );
});
