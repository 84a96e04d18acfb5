/** Calls as a coordinator sends them, and a coordinator that remembers what it is told. */

import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

export const SECRET = `whsec_${Buffer.from("0123456789abcdef01234567").toString("base64")}`;
export const OTHER_SECRET = `whsec_${Buffer.from("76543210fedcba9876543210").toString("base64")}`;

// What the tests are started with must not decide.
for (const name of ["SECRET", "URL", "TOKEN"]) delete process.env[`COORDINATOR_${name}`];

const inSeconds = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();

/** The body of a call for one job. */
export const jobOf = (fields = {}) => ({
  jobId: "job-1",
  worker: "send-email",
  args: { to: "a@b.c" },
  attempt: 1,
  maxAttempts: 3,
  queue: "default",
  key: null,
  scheduledFor: null,
  scheduleId: null,
  deadline: inSeconds(900),
  receiptUrl: "http://127.0.0.1:9/job/job-1/receipt",
  token: "1.abc",
  meta: {},
  ...fields,
});

export const batchOf = (...jobs) => ({
  worker: "send-email",
  queue: "default",
  key: null,
  deadline: inSeconds(900),
  jobs: jobs.map((fields, at) => jobOf({ jobId: `job-${at + 1}`, token: `1.${at + 1}`, ...fields })),
});

export const signature = (secret, id, timestamp, body) => {
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`;
};

/** The headers of a call with this body. */
export const headersOf = (body, { secret = SECRET, timestamp = Math.floor(Date.now() / 1000), id = "msg_1" } = {}) => ({
  "content-type": "application/json",
  "webhook-id": id,
  "webhook-timestamp": String(timestamp),
  "webhook-signature": signature(secret, id, timestamp, body),
});

/** A signed call as a Web request. */
export const requestOf = (call, options = {}) => {
  const body = typeof call === "string" ? call : JSON.stringify(call);
  const headers = { ...headersOf(body, options), ...options.headers };
  return new Request("http://function/", { method: "POST", body: options.body ?? body, headers });
};

/** Send a call to a handler: `[status, answer]`. */
export const send = async (handler, call, options = {}) => {
  const response = await handler.fetch(requestOf(call, options), options.env);
  return [response.status, await response.json()];
};

/** A server on a free port; it ends with the test. */
export const listen = async (test, listener) => {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
};

/**
 * A stand-in for the coordinator: `replies` are `[status, body, headers]`, the last one again and again, a function of
 * the request, or `null` to break the connection. What came is in `requests`.
 */
export const coordinator = async (test, ...replies) => {
  const requests = [];
  const url = await listen(test, async (req, res) => {
    const chunks = await req.toArray();
    const text = Buffer.concat(chunks).toString();
    const request = {
      method: req.method,
      path: req.url,
      headers: req.headers,
      body: text ? JSON.parse(text) : undefined,
    };
    requests.push(request);
    const next = replies.length > 1 ? replies.shift() : replies[0];
    const reply = typeof next === "function" ? await next(request) : next;
    if (reply === null) return req.socket.destroy();
    const [status, body = {}, headers = {}] = reply;
    res.writeHead(status, { "content-type": "application/json", ...headers });
    res.end(JSON.stringify(body));
  });
  return { url, requests };
};
