/** Who may call: signatures, secrets, and what is refused before any function runs. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { wrap } from "../../../coordinator/sdk/coordinator.mjs";
import { OTHER_SECRET, SECRET, batchOf, headersOf, jobOf, requestOf, send } from "./calls.mjs";

const MODULE = new URL("../../../coordinator/sdk/coordinator.mjs", import.meta.url);
const CALLS = new URL("calls.mjs", import.meta.url);

/** A handler that must not be reached. */
const guarded = (options) => wrap(() => assert.fail("the function was run"), { secret: SECRET, ...options });
const open = (options) => wrap(() => "run", options);
const RUN = [200, { status: "success", result: "run" }];

const refused = async (handler, call, options, code = "invalid_signature", status = 401) => {
  const [told, body] = await send(handler, call, options);
  assert.deepEqual([told, body.code], [status, code]);
  return body.error;
};

test("the vector of Standard Webhooks is verified", async () => {
  const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
  const headers = {
    "webhook-id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
    "webhook-timestamp": "1674087231",
    "webhook-signature": "v1,1C2lk7GheKXa4whl6mUru07NWbqoa8KuRBN41WCKbjs=",
  };
  // Its body is no call, and that is found only behind the signature.
  const handler = guarded({ secret, now: () => 1674087231_000 });
  const answer = await handler.fetch(new Request("http://f/", { method: "POST", headers, body: '{"a":1}' }));
  assert.deepEqual([answer.status, (await answer.json()).code], [400, "invalid_call"]);
});

test("a signed call is run", async () => {
  assert.deepEqual(await send(open({ secret: SECRET }), jobOf()), RUN);
});

test("a tampered body, another secret and another id are refused", async () => {
  const body = JSON.stringify(jobOf());
  for (const options of [{ body: `${body} ` }, { secret: OTHER_SECRET }, { headers: { "webhook-id": "msg_2" } }]) {
    assert.match(await refused(guarded(), body, options), /fits no secret: COORDINATOR_SECRET must be the worker's/);
  }
});

test("a signature that is none is refused", async () => {
  const { "webhook-signature": right } = headersOf(JSON.stringify(jobOf()));
  for (const wrong of ["v1,", "v1,!!", "v1", right.replace("v1,", "v2,"), right.slice(0, -8), right.slice(3)]) {
    await refused(guarded(), jobOf(), { headers: { "webhook-signature": wrong } });
  }
});

test("one right signature among others is enough", async () => {
  const call = jobOf();
  const { "webhook-signature": right } = headersOf(JSON.stringify(call));
  const headers = { "webhook-signature": `v1a,AAAA v1,AAAA ${right}` };
  assert.deepEqual(await send(open({ secret: SECRET }), call, { headers }), RUN);
});

test("what is missing is named", async () => {
  const body = JSON.stringify(jobOf());
  const answer = await guarded().fetch(
    new Request("http://f/", { method: "POST", body, headers: { "webhook-id": "1" } }),
  );
  assert.equal(answer.status, 401);
  assert.match(
    (await answer.json()).error,
    /^no webhook-timestamp, webhook-signature: give the worker this function's secret/,
  );
});

test("a call that is too old, or of the future, is refused", async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const timestamp of [now - 310, now + 310, "soon"]) {
    assert.match(await refused(guarded(), jobOf(), { timestamp }), /off by more than 300 s/);
  }
  assert.deepEqual(await send(open({ secret: SECRET }), jobOf(), { timestamp: now - 290 }), RUN);
  assert.deepEqual(await send(open({ secret: SECRET, tolerance: 1000 }), jobOf(), { timestamp: now - 900 }), RUN);
});

test("each of several secrets opens", async () => {
  for (const secret of [[SECRET, OTHER_SECRET], [undefined, OTHER_SECRET, SECRET], `${OTHER_SECRET}, ${SECRET}`]) {
    assert.deepEqual(await send(open({ secret }), jobOf()), RUN);
    assert.deepEqual(await send(open({ secret }), jobOf(), { secret: OTHER_SECRET }), RUN);
  }
});

test("the secret is that of the environment, read at each call", async (t) => {
  const handler = open();
  assert.match(
    await refused(handler, jobOf(), {}, "no_secret", 500),
    /set COORDINATOR_SECRET, or .* pass secret: null/,
  );
  t.after(() => delete process.env.COORDINATOR_SECRET);
  process.env.COORDINATOR_SECRET = `${OTHER_SECRET} ${SECRET}`;
  assert.deepEqual(await send(handler, jobOf()), RUN);
  process.env.COORDINATOR_SECRET = OTHER_SECRET;
  await refused(handler, jobOf());
});

test("the handler's own environment comes first, also as a binding of the Secrets Store", async (t) => {
  t.after(() => delete process.env.COORDINATOR_SECRET);
  process.env.COORDINATOR_SECRET = OTHER_SECRET;
  assert.deepEqual(await send(open(), jobOf(), { env: { COORDINATOR_SECRET: SECRET } }), RUN);
  assert.deepEqual(await send(open(), jobOf(), { env: { COORDINATOR_SECRET: { get: async () => SECRET } } }), RUN);
  // Next.js' second argument is none.
  assert.deepEqual(await send(open({ secret: SECRET }), jobOf(), { env: { params: Promise.resolve({}) } }), RUN);
});

test("a secret that is none is told at once, and not shown", async (t) => {
  const short = `whsec_${Buffer.from("short").toString("base64")}`;
  for (const secret of [
    "",
    "hunter2-hunter2",
    short,
    [],
    [SECRET, "hunter2"],
    `whsec_${"A".repeat(100)}`,
    7,
    "whsec_!!",
  ]) {
    assert.throws(
      () => wrap(() => 1, { secret }),
      (error) => {
        assert.match(error.message, /a secret is whsec_ and base64 of 24 to 64 bytes/);
        assert.doesNotMatch(error.message, /hunter2/);
        return error instanceof TypeError;
      },
    );
  }
  t.after(() => delete process.env.COORDINATOR_SECRET);
  process.env.COORDINATOR_SECRET = "hunter2";
  assert.doesNotMatch(await refused(guarded({ secret: undefined }), jobOf(), {}, "invalid_secret", 500), /hunter2/);
});

test("without a secret unsigned calls are taken only if that is said", async () => {
  const request = new Request("http://f/", { method: "POST", body: JSON.stringify(jobOf()) });
  assert.equal((await open({ secret: null }).fetch(request)).status, 200);
});

test("options that are none are refused", () => {
  assert.throws(() => wrap(() => 1, { secert: SECRET }), /wrap has no option secert; there are secret, url/);
  assert.throws(() => wrap(() => 1, { report: "sometimes" }), /auto, always or never/);
  assert.throws(() => wrap(() => 1, { url: "coordinator" }), /Invalid URL/);
  assert.throws(() => wrap({ secret: SECRET }), /secret is no function; options come second/);
});

test("a body that is no call is refused", async () => {
  const { jobId, ...nameless } = jobOf();
  for (const body of [
    "",
    "{",
    "null",
    "[]",
    "7",
    '{"a":1}',
    nameless,
    batchOf(),
    { ...batchOf(), jobs: "x" },
    { ...batchOf(), jobs: [null] },
  ]) {
    assert.match(await refused(guarded(), body, {}, "invalid_call", 400), /no call of a coordinator/);
  }
});

test("another method is told that there is POST alone", async () => {
  for (const method of ["GET", "HEAD", "PUT", "OPTIONS"]) {
    const answer = await guarded().fetch(new Request("http://f/", { method }));
    assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "POST"]);
    assert.equal((await answer.text()) === "", method === "HEAD");
  }
});

test("a body over 16 MiB is refused, however it is sent", async () => {
  const call = JSON.stringify(jobOf({ args: "x".repeat(17 * 1024 * 1024) }));
  await refused(guarded(), call, {}, "payload_too_large", 413);
  let sent = 0;
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array((sent += 65536) && 65536)),
  });
  const request = new Request("http://f/", { method: "POST", body: endless, duplex: "half" });
  assert.equal((await guarded().fetch(request)).status, 413);
  assert.ok(sent < 18 * 1024 * 1024);
});

test("a request that was read before is told of", async () => {
  const request = requestOf(jobOf());
  await request.text();
  const answer = await guarded().fetch(request);
  assert.deepEqual([answer.status, (await answer.json()).code], [500, "body_already_read"]);
});

test("Node 18 has no global crypto, and needs none", () => {
  const script = `
    delete globalThis.crypto;
    const { wrap } = await import(${JSON.stringify(MODULE)});
    const { SECRET, jobOf, send } = await import(${JSON.stringify(CALLS)});
    console.log(globalThis.crypto === undefined, (await send(wrap(() => 1, { secret: SECRET }), jobOf()))[0]);
  `;
  assert.equal(execFileSync(process.execPath, ["--input-type=module", "-e", script]).toString(), "true 200\n");
});
