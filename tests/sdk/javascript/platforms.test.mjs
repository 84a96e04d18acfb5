/** Node's requests, Express and its parsers, Cloud Functions, and the events of Lambda. */

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { test } from "node:test";

import { wrap } from "../../../coordinator/sdk/coordinator.mjs";
import { SECRET, headersOf, jobOf, listen } from "./calls.mjs";

const express = createRequire(new URL("../../runtimes/package.json", import.meta.url))("express");

const handler = wrap((args) => ({ echo: args }), { secret: SECRET });
const BODY = JSON.stringify(jobOf({ args: "ä😀" }));
const ECHO = { status: "success", result: { echo: "ä😀" } };

const call = async (url, body = BODY, headers = headersOf(BODY)) => {
  const answer = await fetch(url, { method: "POST", body, headers });
  return [answer.status, await answer.json()];
};

test("a server of Node takes the handler", async (t) => {
  const url = await listen(t, handler);
  assert.deepEqual(await call(url), [200, ECHO]);
  assert.equal((await call(url, `${BODY} `))[0], 401);
  const looked = await fetch(url);
  assert.deepEqual([looked.status, looked.headers.get("allow")], [405, "POST"]);
  assert.equal((await fetch(url, { method: "HEAD" })).status, 405);
});

test("Express takes it, under a path and with all its parsers behind it", async (t) => {
  const app = express().post("/jobs", handler).use(express.json());
  assert.deepEqual(await call(`${await listen(t, app)}/jobs`), [200, ECHO]);
});

test("behind a parser it says where to stand, and works with the bytes that were kept", async (t) => {
  const [status, { code, error }] = await call(await listen(t, express().use(express.json()).post("/", handler)));
  assert.deepEqual([status, code], [500, "body_already_read"]);
  assert.match(error, /before express\.json\(\)/);
  for (const parser of [
    express.json({ verify: (req, _, bytes) => (req.rawBody = bytes) }),
    express.raw({ type: "*/*" }),
    express.text({ type: "*/*" }),
  ]) {
    assert.deepEqual(await call(await listen(t, express().use(parser).post("/", handler))), [200, ECHO]);
  }
});

test("a parser that leaves the body alone is no hindrance", async (t) => {
  assert.deepEqual(await call(await listen(t, express().use(express.urlencoded()).post("/", handler))), [200, ECHO]);
});

test("a body over 16 MiB is answered, and the connection closed", async (t) => {
  const url = await listen(t, handler);
  const socket = connect(new URL(url).port, "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n");
  socket.write(Buffer.alloc(16 * 1024 * 1024 + 1, "x"));
  const answered = Buffer.concat(await socket.toArray()).toString();
  assert.match(answered, /^HTTP\/1\.1 413 .*\r\n[^]*connection: close\r\n[^]*payload_too_large/);
});

test("a caller who goes away ends nothing", async (t) => {
  const gone = [];
  let begun;
  const started = new Promise((resolve) => (begun = resolve));
  const slow = wrap(
    async (_, job) => {
      begun();
      await gone[0];
      return job.id;
    },
    { secret: SECRET },
  );
  let answered;
  const url = await listen(t, (req, res) => {
    gone.push(new Promise((resolve) => req.socket.once("close", resolve)));
    answered = slow(req, res);
  });
  const abort = new AbortController();
  const calling = fetch(url, { method: "POST", body: BODY, headers: headersOf(BODY), signal: abort.signal });
  await started;
  abort.abort();
  await assert.rejects(calling);
  assert.equal(await answered, undefined);
});

test("a caller who goes away before the body is whole ends nothing either", async (t) => {
  let answered;
  const come = new Promise((resolve) => (answered = resolve));
  const url = await listen(t, (req, res) => answered({ done: handler(req, res) }));
  const socket = connect(new URL(url).port, "127.0.0.1", () =>
    socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{"),
  );
  const { done } = await come;
  socket.destroy();
  assert.equal(await done, undefined);
});

test("an answer that a framework gave before is left", async (t) => {
  const url = await listen(t, async (req, res) => {
    res.writeHead(202).end('"first"');
    await handler(req, res);
  });
  assert.deepEqual(await call(url), [202, "first"]);
});

const v2 = (fields) => ({
  version: "2.0",
  headers: headersOf(BODY),
  requestContext: { http: { method: "POST" } },
  body: BODY,
  ...fields,
});
const base64 = { body: Buffer.from(BODY).toString("base64"), isBase64Encoded: true };

const answerOf = async (event) => {
  const { statusCode, body, isBase64Encoded, ...rest } = await handler(event, { awsRequestId: "1" });
  assert.equal(isBase64Encoded, false);
  return { status: statusCode, body: JSON.parse(body), ...rest };
};

test("events of function URLs and API Gateway are read, as text and as base64", async () => {
  const right = {
    status: 200,
    body: ECHO,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  };
  assert.deepEqual(await answerOf(v2()), right);
  assert.deepEqual(await answerOf(v2(base64)), right);
  const upper = Object.fromEntries(
    Object.entries(headersOf(BODY)).map(([name, value]) => [name.replace("webhook", "Webhook"), value]),
  );
  const multi = Object.fromEntries(Object.entries(upper).map(([name, value]) => [name, [value]]));
  assert.deepEqual(await answerOf({ httpMethod: "POST", headers: upper, multiValueHeaders: multi, body: BODY }), right);
});

test("a load balancer with multi-value headers is answered with such", async () => {
  const multiValueHeaders = Object.fromEntries(Object.entries(headersOf(BODY)).map(([name, value]) => [name, [value]]));
  const event = { httpMethod: "POST", multiValueHeaders, requestContext: { elb: {} }, ...base64 };
  const told = { "content-type": ["application/json"], "cache-control": ["no-store"] };
  assert.deepEqual(await answerOf(event), { status: 200, body: ECHO, headers: undefined, multiValueHeaders: told });
});

test("what is no call by HTTP is refused", async () => {
  assert.equal((await answerOf(v2({ requestContext: { http: { method: "GET" } } }))).status, 405);
  assert.equal((await answerOf(v2({ body: undefined }))).status, 401);
  assert.equal((await answerOf(v2({ body: "%", isBase64Encoded: true }))).status, 500);
  for (const event of [{}, { key: "value" }, undefined, null, "text"])
    assert.equal((await answerOf(event)).status, 401);
});
