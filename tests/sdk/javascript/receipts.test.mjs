/** What becomes of what a function returns and throws. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Failure, Fatal, Retry, Snooze, Throttled, wrap } from "../../../coordinator/sdk/coordinator.mjs";

const receiptOf = async (work, options) => (await wrap(work).test({ n: 1 }, options)).receipt;
const thrown = (error) => receiptOf(() => Promise.reject(error));

test("a result is a success, also one that is undefined", async () => {
  assert.deepEqual(await receiptOf((args) => ({ echo: args })), { status: "success", result: { echo: { n: 1 } } });
  assert.deepEqual(await receiptOf(() => undefined), { status: "success" });
  assert.deepEqual(await receiptOf(() => null), { status: "success", result: null });
});

test("what JSON cannot hold is a failure for good that says so", async () => {
  const circular = {};
  circular.self = circular;
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const results = [1n, { deep: [2n] }, circular, () => 1, Symbol("s"), new Response("{}"), revoked.proxy];
  for (const result of results) {
    const receipt = await receiptOf(() => (result === revoked.proxy ? [result] : result));
    assert.equal(receipt.status, "failure");
    assert.equal(receipt.retryable, false);
    assert.equal(receipt.error.type, "UnserializableResult");
    assert.match(receipt.error.message, /^what test returned or threw is no JSON: ./);
  }
});

test("an error that JSON cannot hold is one too", async () => {
  const receipt = await thrown(new Failure("no", { data: 1n }));
  assert.deepEqual([receipt.error.type, receipt.retryable], ["UnserializableResult", false]);
  const hostile = new Error("x");
  Object.defineProperty(hostile, "message", {
    get: () => {
      throw new Error("not readable");
    },
  });
  assert.match((await thrown(hostile)).error.message, /not readable/);
});

test("an error is told with its type, its stack and its causes", async () => {
  class NoSuchAddress extends Error {}
  const { status, error, retryable } = await thrown(
    new NoSuchAddress("a@b", { cause: new TypeError("deep", { cause: "text" }) }),
  );
  assert.deepEqual([status, error.type, error.message, retryable], ["failure", "NoSuchAddress", "a@b", undefined]);
  assert.match(error.stack, /a@b\n\s+at [^]*\ncaused by: TypeError: deep\n[^]*\ncaused by: text$/);
});

test("a cause that leads back to itself ends", async () => {
  const error = new Error("round");
  error.cause = error;
  assert.equal((await thrown(error)).error.message, "round");
});

test("what is thrown and is no error is told as it is", async () => {
  const told = async (value) => (await thrown(value)).error;
  assert.deepEqual(await told("text"), { type: "string", message: "text" });
  assert.deepEqual(await told(undefined), { type: "undefined", message: "undefined" });
  assert.deepEqual(await told(null), { type: "object", message: "null" });
  assert.deepEqual(await told({ code: 7 }), { type: "object", message: '{"code":7}' });
  assert.deepEqual(await told(5n), { type: "bigint", message: "5" });
});

test("a long message and a long stack are cut to 4 KiB, in whole characters", async () => {
  const { error } = await thrown(new Error("😀".repeat(5000)));
  for (const text of [error.message, error.stack]) {
    assert.ok(Buffer.byteLength(text) <= 4096);
    assert.ok(Buffer.byteLength(text) > 4000);
    assert.ok(text.isWellFormed?.() ?? true);
    assert.ok(text.endsWith("…"));
  }
});

test("half a surrogate pair is replaced, because nobody can read it", async () => {
  assert.deepEqual((await receiptOf(() => ["\ud83d", "\\ud83d", "😀", "\u0001"])).result, [
    "\ufffd",
    "\\ud83d",
    "😀",
    "\u0001",
  ]);
});

test("each of the errors is its own receipt", async () => {
  const { error, ...failure } = await thrown(
    new Failure("no such address", { after: "5m", data: { line: 3 }, limits: { cost: 2 } }),
  );
  assert.deepEqual(failure, { status: "failure", retryAfter: "5m", limits: { cost: 2 } });
  assert.deepEqual([error.type, error.message, error.data], ["Failure", "no such address", { line: 3 }]);
  const retry = await thrown(new Retry({ after: 1.5, cause: new Error("boom") }));
  assert.deepEqual(
    [retry.status, retry.retryAfter, retry.error.message, retry.retryable],
    ["failure", 1.5, "boom", undefined],
  );
  const fatal = await thrown(new Fatal("never"));
  assert.deepEqual([fatal.status, fatal.retryable, fatal.error.type], ["failure", false, "Fatal"]);
  assert.deepEqual(await thrown(new Snooze({ after: 0, limits: { cost: 1 } })), {
    status: "snooze",
    retryAfter: 0,
    limits: { cost: 1 },
  });
  assert.deepEqual(await thrown(new Throttled()), { status: "throttled" });
  assert.deepEqual(await thrown(new Throttled({ after: "2s" })), { status: "throttled", retryAfter: "2s" });
});

test("a failure's type is what it is told, or its class", async () => {
  class NoAddress extends Failure {}
  assert.equal((await thrown(new NoAddress("x"))).error.type, "NoAddress");
  assert.equal((await thrown(new Failure("x", { type: "Other" }))).error.type, "Other");
});

test("a wait that is none is told where it is made", async () => {
  for (const after of [NaN, -1, Infinity, "", null, {}, new Date()]) {
    assert.throws(() => new Snooze({ after }), /after is a number of seconds, or a duration such as "30s"/);
  }
  assert.throws(() => new Snooze(), /a snooze needs a time/);
});

test("an error of another copy of the module is known", async () => {
  const copy = await import("../../../coordinator/sdk/coordinator.mjs?copy");
  assert.notEqual(copy.Snooze, Snooze);
  assert.deepEqual(await thrown(new copy.Snooze({ after: 3 })), { status: "snooze", retryAfter: 3 });
});

test("limits go into the receipt, whatever it says, and the last word counts", async () => {
  const told = (end) =>
    receiptOf((_, job) => {
      job.limits({ used: 1, max: 40 });
      job.limits({ used: 2 });
      return end();
    });
  assert.deepEqual(await told(() => 1), { status: "success", result: 1, limits: { used: 2, max: 40 } });
  const throttled = await told(() => {
    throw new Throttled({ limits: { used: 40 } });
  });
  assert.deepEqual(throttled, { status: "throttled", limits: { used: 40, max: 40 } });
});

test("a function is tried out with its heartbeats, and cancelled by the answer to one", async () => {
  const work = async (_, job) => {
    await job.progress(10, "begun");
    const { cancelRequested } = await job.heartbeat({ extend: 90 });
    if (cancelRequested) job.signal.throwIfAborted();
    return "done";
  };
  const beats = [{ progress: 10, message: "begun" }, { extend: 90 }];
  assert.deepEqual(await wrap(work).test({}), { receipt: { status: "success", result: "done" }, heartbeats: beats });
  const onHeartbeat = ({ extend }) => ({ cancelRequested: extend !== undefined });
  assert.deepEqual(await wrap(work).test({}, { onHeartbeat }), { receipt: { status: "cancelled" }, heartbeats: beats });
});

test("a job tried out is as the test wants it", async () => {
  const deadline = new Date(Date.now() + 5000);
  const given = {
    attempt: 3,
    maxAttempts: 3,
    key: "shop",
    meta: { a: 1 },
    scheduledFor: "2030-01-01T00:00:00Z",
    deadline,
  };
  const { result } = await receiptOf(
    (_, job) => [job.isLastAttempt, job.key, job.meta, job.scheduledFor, job.deadline],
    given,
  );
  assert.deepEqual(result, [true, "shop", { a: 1 }, "2030-01-01T00:00:00.000Z", deadline.toISOString()]);
});

test("a worker that is not there cannot be tried out", async () => {
  await assert.rejects(
    wrap({ a: () => 1, b: () => 2 }).test({}, { worker: "c" }),
    /no worker 'c' is deployed here; deployed are: a, b/,
  );
  assert.equal((await wrap({ a: () => 1 }).test({})).receipt.result, 1);
});
