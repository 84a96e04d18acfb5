/** Heartbeats, cancellation and deadlines. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { promisify } from "node:util";

import { CoordinatorError, wrap } from "../../../coordinator/sdk/coordinator.mjs";
import { SECRET, batchOf, coordinator, jobOf, send } from "./calls.mjs";

const MODULE = new URL("../../../coordinator/sdk/coordinator.mjs", import.meta.url);
const CALLS = new URL("calls.mjs", import.meta.url);

const secret = SECRET;
const beating = (beat, options) =>
  wrap(async (_, job) => ({ ...(await job.heartbeat(beat)), deadline: undefined }), { secret, ...options });
const inMs = (ms) => new Date(Date.now() + ms).toISOString();
const DELIVERED = { cancelRequested: false, delivered: true };

test("a heartbeat says how far it is, and which attempt it is", async (t) => {
  const { url, requests } = await coordinator(t, [200, { cancelRequested: false }]);
  const beat = { progress: 50, message: "half", extend: "10s" };
  const [, receipt] = await send(beating(beat, { url }), jobOf());
  assert.deepEqual(receipt.result, DELIVERED);
  const [{ method, path, headers, body }] = requests;
  assert.deepEqual([method, path, headers.authorization], ["POST", "/job/job-1/heartbeat", undefined]);
  assert.deepEqual(body, { ...beat, attempt: 1, token: "1.abc" });
});

test("a heartbeat may say nothing, and a number is seconds", async (t) => {
  const { url, requests } = await coordinator(t, [200]);
  await send(beating(undefined, { url }), jobOf());
  await send(beating({ extend: 90 }, { url }), jobOf());
  await send(
    wrap((_, job) => job.progress(5, "five"), { secret, url }),
    jobOf(),
  );
  const fence = { attempt: 1, token: "1.abc" };
  assert.deepEqual(
    requests.map(({ body }) => body),
    [fence, { extend: 90_000, ...fence }, { progress: 5, message: "five", ...fence }],
  );
});

test("each job of a batch has its own heartbeats", async (t) => {
  const { url, requests } = await coordinator(t, [200]);
  await send(
    wrap(async (jobs) => Promise.all(jobs.map((job) => job.progress(1))), { secret, url, batch: true }),
    batchOf({}, {}),
  );
  assert.deepEqual(requests.map(({ path, body }) => [path, body.token]).sort(), [
    ["/job/job-1/heartbeat", "1.1"],
    ["/job/job-2/heartbeat", "1.2"],
  ]);
});

test("what is cancelled aborts, and what ends by it is cancelled", async (t) => {
  const { url } = await coordinator(t, [200, { cancelRequested: false }], [200, { cancelRequested: true }]);
  const endings = [
    (job) => job.signal.throwIfAborted(),
    () => {
      throw new DOMException("aborted", "AbortError");
    },
    (job) => {
      throw new Error("wrapped", { cause: job.signal.reason });
    },
  ];
  for (const end of endings) {
    const work = async (_, job) => {
      while (!(await job.heartbeat()).cancelRequested);
      assert.equal(job.signal.reason.reason, "requested");
      end(job);
    };
    assert.deepEqual(await send(wrap(work, { secret, url }), jobOf()), [200, { status: "cancelled" }]);
  }
});

test("what is cancelled may still end in its own way", async (t) => {
  const { url } = await coordinator(t, [200, { cancelRequested: true }]);
  const ending = async (end) =>
    (
      await send(
        wrap(async (_, job) => (await job.heartbeat(), end()), { secret, url }),
        jobOf(),
      )
    )[1];
  assert.deepEqual(await ending(() => "done all the same"), { status: "success", result: "done all the same" });
  assert.equal(
    (
      await ending(() => {
        throw new Error("boom");
      })
    ).error.message,
    "boom",
  );
});

test("an AbortError of something else is a failure", async () => {
  const [, receipt] = await send(
    wrap(
      () => {
        throw new DOMException("own", "AbortError");
      },
      { secret },
    ),
    jobOf(),
  );
  assert.deepEqual([receipt.status, receipt.error.type], ["failure", "AbortError"]);
});

test("a superseded attempt aborts, and is not taken for cancelled", async (t) => {
  const { url } = await coordinator(t, [409, { code: "stale_receipt" }]);
  const work = async (_, job) => {
    assert.deepEqual([(await job.heartbeat()).cancelRequested, job.signal.reason.reason], [true, "superseded"]);
    job.signal.throwIfAborted();
  };
  const [, receipt] = await send(wrap(work, { secret, url }), jobOf());
  assert.deepEqual([receipt.status, receipt.error.type], ["failure", "AbortError"]);
});

test("a coordinator that cannot be reached does not stop the work", async (t) => {
  const { url, requests } = await coordinator(t, [503], null);
  const [, receipt] = await send(beating({ progress: 1 }, { url }), jobOf());
  assert.deepEqual(receipt.result, { cancelRequested: false, delivered: false });
  assert.equal(requests.length, 2);
});

test("a second try is enough", async (t) => {
  const { url } = await coordinator(t, [500], [200]);
  assert.deepEqual((await send(beating({}, { url }), jobOf()))[1].result, DELIVERED);
});

test("a wrong argument is told to the function", async (t) => {
  const problem = {
    code: "validation_error",
    detail: "progress: use a number from 0 to 100",
    errors: [{ path: "progress", message: "use" }],
  };
  const { url, requests } = await coordinator(t, [422, problem]);
  const work = async (_, job) => {
    await assert.rejects(
      job.progress(101),
      (error) => error instanceof CoordinatorError && error.status === 422 && error.errors[0].path === "progress",
    );
    await assert.rejects(job.heartbeat({ extend: -1 }), /extend is a number of seconds/);
    await assert.rejects(job.heartbeat({ progress: 1n }), TypeError);
    return "told";
  };
  assert.equal((await send(wrap(work, { secret, url }), jobOf()))[1].result, "told");
  assert.equal(requests.length, 1);
});

test("without an address a heartbeat says what to set", async () => {
  const [, receipt] = await send(beating({}, { unsigned: true }), jobOf());
  assert.match(receipt.error.message, /set COORDINATOR_URL/);
});

test("the deadline counts from the coordinator's clock, whatever this one says", async () => {
  const hour = 3_600_000;
  const now = () => Date.now() + hour;
  const sentAt = Math.floor(Date.now() / 1000);
  const call = jobOf({ deadline: new Date((sentAt + 60) * 1000).toISOString() });
  const [, { result }] = await send(
    wrap((_, job) => job.deadline - now(), { secret, now, tolerance: 2 * 3600 }),
    call,
    { timestamp: sentAt },
  );
  assert.ok(result > 59_000 && result <= 60_000, `${result} ms`);
});

test("an unsigned call without a timestamp keeps its deadline", async () => {
  const call = jobOf();
  const request = new Request("http://f/", { method: "POST", body: JSON.stringify(call) });
  const answer = await wrap((_, job) => job.deadline, { unsigned: true }).fetch(request);
  assert.equal((await answer.json()).result, call.deadline);
});

test("a clock that is right needs no correction, although timestamps are whole seconds", async () => {
  const call = jobOf();
  const [, { result }] = await send(
    wrap((_, job) => job.deadline, { secret }),
    call,
  );
  assert.equal(result, call.deadline);
});

test("the signal aborts at the deadline, which is no cancellation", async (t) => {
  // As a server does: the timer itself keeps no process.
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  const work = async (_, job) => {
    await once(job.signal, "abort");
    assert.equal(job.signal.reason.reason, "deadline");
    job.signal.throwIfAborted();
  };
  const [, receipt] = await send(wrap(work, { secret }), jobOf({ deadline: inMs(50) }));
  assert.deepEqual([receipt.status, receipt.error.message], ["failure", "the attempt has timed out"]);
});

test("a heartbeat moves the deadline", async (t) => {
  const call = jobOf({ deadline: inMs(300) });
  const later = new Date(Date.parse(call.deadline) + 60_000).toISOString();
  const { url } = await coordinator(t, [200, { deadline: later }]);
  const work = async (_, job) => {
    const before = job.deadline;
    const { deadline } = await job.heartbeat({ extend: "60s" });
    assert.equal(deadline, job.deadline);
    const aborted = once(job.signal, "abort").then(() => true);
    const waited = new Promise((resolve) => setTimeout(resolve, 400, false));
    return [deadline - before, await Promise.race([aborted, waited])];
  };
  assert.deepEqual((await send(wrap(work, { secret, url }), call))[1].result, [60_000, false]);
});

test("no timer keeps a process, and a heartbeat that nobody waits for does not end it", async (t) => {
  const { url, requests } = await coordinator(t, [422]);
  const script = `
    const { wrap } = await import(${JSON.stringify(MODULE)});
    const { SECRET, jobOf, send } = await import(${JSON.stringify(CALLS)});
    const work = async (_, job) => {
      job.progress(101);
      await new Promise(() => {});
    };
    send(wrap(work, { secret: SECRET, url: ${JSON.stringify(url)} }), jobOf());
  `;
  // The deadline is in 15 minutes.
  const { stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    timeout: 20_000,
  });
  assert.deepEqual([stderr, requests.length], ["", 1]);
});
