/** The client: what it asks, what it repeats, and what it says when it is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Coordinator, CoordinatorError } from "../../../coordinator/sdk/coordinator.mjs";
import { coordinator } from "./calls.mjs";

const started = async (t, ...replies) => {
  const { url, requests } = await coordinator(t, ...replies);
  return { client: new Coordinator(`${url}/base/`, "token"), requests, url };
};

const JOB = { id: "1", kind: "job", state: "queued" };

test("a job is made with all its fields", async (t) => {
  const { client, requests } = await started(t, [201, JOB]);
  const runAt = new Date("2030-01-01T10:00:00Z");
  assert.deepEqual(
    await client.enqueue("send-email", { to: "a@b.c" }, { runAt, key: "shop", idempotencyKey: "mine" }),
    JOB,
  );
  const [{ method, path, headers, body }] = requests;
  assert.deepEqual(
    [method, path, headers.authorization, headers["idempotency-key"]],
    ["POST", "/base/job", "Bearer token", "mine"],
  );
  assert.deepEqual(body, {
    worker: "send-email",
    args: { to: "a@b.c" },
    runAt: "2030-01-01T10:00:00.000Z",
    key: "shop",
  });
  await client.enqueue("noop");
  assert.deepEqual(requests[1].body, { worker: "noop" });
});

test("a trace is sent as headers, and not as a field", async (t) => {
  const { client, requests } = await started(t, [201, JOB], [201, JOB]);
  const trace = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", tracestate: "vendor=1" };
  await client.enqueue("a", undefined, { trace });
  await client.enqueueMany([{ worker: "a" }], { trace });
  for (const { headers } of requests) {
    assert.deepEqual({ traceparent: headers.traceparent, tracestate: headers.tracestate }, trace);
  }
  assert.deepEqual(
    requests.map(({ body }) => body),
    [{ worker: "a" }, { jobs: [{ worker: "a" }] }],
  );
});

test("a request keeps its key when it is repeated, and another has another", async (t) => {
  const { client, requests } = await started(t, null, [503], [201, JOB]);
  assert.deepEqual(await client.enqueue("a"), JOB);
  await client.enqueueMany([{ worker: "a" }], { atomic: true });
  const keys = requests.map(({ headers }) => headers["idempotency-key"]);
  assert.equal(keys[0].length, 36);
  assert.deepEqual([keys[1], keys[2], new Set(keys).size], [keys[0], keys[0], 2]);
  assert.deepEqual(
    [requests[3].path, requests[3].body],
    ["/base/job/batch", { jobs: [{ worker: "a" }], atomic: true }],
  );
});

test("it waits as long as it is told to, unless that is too long", async (t) => {
  const { client, requests } = await started(
    t,
    [429, {}, { "retry-after": "1" }],
    [201, JOB],
    [503, {}, { "retry-after": "3600" }],
  );
  const began = performance.now();
  await client.enqueue("a");
  assert.ok(performance.now() - began > 950);
  await assert.rejects(client.enqueue("a"), { status: 503 });
  assert.equal(requests.length, 3);
});

test("what is refused is not repeated, and is told field by field", async (t) => {
  const problem = {
    code: "validation_error",
    detail: "dealy: unknown",
    status: 422,
    errors: [{ path: "dealy", message: "unknown" }],
  };
  const { client, requests } = await started(t, [422, problem]);
  await assert.rejects(client.enqueue("a", {}, { dealy: "1m" }), (error) => {
    assert.ok(error instanceof CoordinatorError);
    assert.deepEqual(
      [error.status, error.code, error.detail, error.errors],
      [422, "validation_error", problem.detail, problem.errors],
    );
    return error.message === "validation_error: dealy: unknown";
  });
  assert.equal(requests.length, 1);
});

test("what must not happen twice is sent once", async (t) => {
  const { client, requests } = await started(t, [503]);
  for (const act of ["cancel", "retry", "run"]) await assert.rejects(client[act]("morning:17"), { status: 503 });
  assert.deepEqual(
    requests.map(({ path }) => path),
    ["cancel", "retry", "run"].map((act) => `/base/job/morning%3A17/${act}`),
  );
});

test("who is not there is told with the reason", async (t) => {
  const { client } = await started(t, null);
  await assert.rejects(
    client.get("1"),
    (error) => error.status === 0 && error.code === "unreachable" && error.cause !== undefined,
  );
});

test("an answer that is no JSON is an error with its status", async (t) => {
  const { client } = await started(t, [302, {}, { location: "/login" }]);
  await assert.rejects(client.get("1"), { status: 302, code: "unexpected_answer" });
});

test("a list goes on from page to page", async (t) => {
  const { client, requests } = await started(
    t,
    [200, { items: [1, 2], cursor: "c d" }],
    [200, { items: [], cursor: "e" }],
    [200, { items: [3], cursor: null }],
  );
  const found = [];
  for await (const job of client.list({ state: "dead", createdAfter: new Date(0), key: undefined, "error~": "time" }))
    found.push(job);
  assert.deepEqual(found, [1, 2, 3]);
  const query = "state=dead&createdAfter=1970-01-01T00%3A00%3A00.000Z&error%7E=time";
  assert.deepEqual(
    requests.map(({ path }) => path),
    ["", "&cursor=c+d", "&cursor=e"].map((cursor) => `/base/job?${query}${cursor}`),
  );
});

test("a wait ends with the job", async (t) => {
  const { client, requests } = await started(t, [200, JOB], [200, { ...JOB, state: "succeeded", result: 1 }]);
  assert.equal((await client.wait("1", { timeout: 60 })).result, 1);
  assert.deepEqual(
    requests.map(({ path }) => path),
    ["/base/job/1?wait=30000ms", "/base/job/1?wait=30000ms"],
  );
});

test("a wait ends with its time, and at once for what never ends", async (t) => {
  const { client } = await started(t, [200, { ...JOB, state: "running" }]);
  await assert.rejects(client.wait("1", { timeout: 0 }), {
    code: "wait_timeout",
    detail: "1 is still running after 0 s",
  });
  const { client: other } = await started(t, [200, { id: "morning", kind: "schedule", state: "active" }]);
  await assert.rejects(other.wait("morning"), { code: "not_a_run" });
});

test("any other request can be made", async (t) => {
  const { client, requests } = await started(t, [200, { done: true }]);
  assert.deepEqual(await client.request("PUT", "/worker/a", { url: "https://f" }), { done: true });
  assert.deepEqual(
    [requests[0].method, requests[0].path, requests[0].body],
    ["PUT", "/base/worker/a", { url: "https://f" }],
  );
});

test("the address is that of the environment, or it is said that there is none", async (t) => {
  const { url } = await started(t, [200, JOB]);
  assert.throws(() => new Coordinator(), /no address: set COORDINATOR_URL/);
  t.after(() => delete process.env.COORDINATOR_URL);
  process.env.COORDINATOR_URL = url;
  assert.deepEqual(await new Coordinator().get("1"), JOB);
});
