/**
 * What a function needs of the coordinator: `wrap` makes a handler of a plain function, `Coordinator` enqueues jobs.
 *
 * One file without dependencies, on Web standards. A call is read, its signature checked, its worker found and run, and
 * the receipt is the answer. A handler never rejects. coordinator.d.mts tells what each part takes and gives.
 */

export const VERSION = "0.1.0";

const BODY_LIMIT = 16 * 1024 * 1024;
const TEXT_LIMIT = 4096;
const REPORT_AFTER_MS = 10_000;
const POST_LIMIT_MS = 5_000;
const CLIENT_LIMIT_MS = 30_000;
const PAUSES_MS = [200, 1_000];
const OPTIONS = ["secret", "unsigned", "url", "report", "tolerance", "now", "batch"];
const HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/** What an error of ours becomes. A symbol of the whole realm: a bundle may hold this module twice. */
const RECEIPT = Symbol.for("coordinator.receipt");

const encoder = new TextEncoder();

// What a function may throw ------------------------------------------------------------------------------------------

export class Failure extends Error {
  constructor(message, { type, retryable = true, after, data, limits, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = type ?? new.target.name;
    Object.assign(this, { retryable, after: waitOf(after), data, limits });
  }

  [RECEIPT]() {
    const { data, retryable, after, limits } = this;
    const error = { ...described(this), data };
    return { status: "failure", error, retryable: retryable ? undefined : false, retryAfter: after, limits };
  }
}

export class Retry extends Failure {
  constructor({ message, ...options } = {}) {
    super(message ?? options.cause?.message ?? "to be tried again", options);
  }
}

export class Fatal extends Failure {
  constructor(message, options) {
    super(message, { ...options, retryable: false });
  }
}

export class Snooze extends Error {
  constructor({ after, limits } = {}) {
    super("snoozed");
    if (after === undefined) throw new TypeError("a snooze needs a time: new Snooze({ after: 30 })");
    Object.assign(this, { name: "Snooze", after: waitOf(after), limits });
  }

  [RECEIPT]() {
    return { status: "snooze", retryAfter: this.after, limits: this.limits };
  }
}

export class Throttled extends Error {
  constructor({ after, limits } = {}) {
    super("throttled");
    Object.assign(this, { name: "Throttled", after: waitOf(after), limits });
  }

  [RECEIPT]() {
    return { status: "throttled", retryAfter: this.after, limits: this.limits };
  }
}

/** The reason of `job.signal`. */
export class Cancelled extends Error {
  constructor(reason, message) {
    super(message);
    Object.assign(this, { name: "AbortError", reason });
  }
}

export class CoordinatorError extends Error {
  constructor(status, { code = "unexpected_answer", detail = `HTTP ${status}`, errors = [] } = {}, cause) {
    super(`${code}: ${detail}`, cause && { cause });
    Object.assign(this, { name: "CoordinatorError", status, code, detail, errors });
  }
}

// Workers ------------------------------------------------------------------------------------------------------------

const registry = new Map();

export function worker(name, fn, { batch } = {}) {
  // Registered again it is replaced: development servers load a module anew when it changes.
  registry.set(name, entryOf(name, fn, batch));
  return fn;
}

export function wrap(work, options = {}) {
  const serving = new Serving(work, options);
  const handler = (first, second) => {
    if (typeof second?.setHeader === "function") return handler.node(first, second);
    return typeof first?.headers?.get === "function" ? handler.fetch(first, second) : handler.lambda(first);
  };
  return Object.assign(handler, {
    fetch: (request, env) => answerRequest(serving, request, env),
    node: (req, res) => answerNode(serving, req, res),
    lambda: (event) => answerEvent(serving, event ?? {}),
    test: (args, given) => tryOut(serving, args, given),
  });
}

function entryOf(name, fn, batch = false) {
  if (typeof fn === "function") return { fn, batch };
  throw new TypeError(`${name} is no function; options come second: wrap({ name: fn }, { secret })`);
}

// A call, on any platform --------------------------------------------------------------------------------------------

class Serving {
  #workers;
  #keys = new Map();

  constructor(work, options) {
    const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
    if (unknown) throw new TypeError(`wrap has no option ${unknown}; there are ${OPTIONS.join(", ")}`);
    const { secret, url, report = "auto", tolerance = 300, now = Date.now, batch } = options;
    // What is wrong is said at once, not by the first call.
    if (!["auto", "always", "never"].includes(report)) throw new TypeError("report is auto, always or never");
    if (secret != null) secretsIn(secret);
    if (url !== undefined) new URL(url);
    Object.assign(this, { options, report, tolerance, now });
    if (typeof work === "function") this.any = entryOf("fn", work, batch);
    this.#workers = work ? new Map(Object.entries(work).map(([name, fn]) => [name, entryOf(name, fn)])) : registry;
  }

  /** The names that are served, or null for any. */
  get names() {
    return this.any ? null : [...this.#workers.keys()].sort();
  }

  find(name) {
    const found = this.any ?? this.#workers.get(name);
    if (found) return found;
    const deployed = this.names.join(", ") || "none";
    throw new Refused(404, "worker_not_deployed", `no worker '${name}' is deployed here; deployed are: ${deployed}`);
  }

  /** The answer to a request: `{ status, headers, text }`. Never rejects. */
  async respond(method, header, read, env) {
    const arrivedAt = this.now();
    try {
      if (method !== "POST") throw new Refused(405, "method_not_allowed", "jobs come by POST", { allow: "POST" });
      const secrets = await this.#secrets(env);
      const body = await read();
      if (secrets) await this.#verify(secrets, header, body);
      const call = callIn(body);
      if (call.ping) return answer(200, json({ pong: true, sdk: `javascript ${VERSION}`, workers: this.names }));
      return answer(200, await this.#run(call, this.#way(call, env, secrets), arrivedAt, header(HEADERS[1])));
    } catch (problem) {
      return (problem instanceof Refused ? problem : new Refused(500, "internal_error", textOf(problem))).answer;
    }
  }

  async #run(call, way, arrivedAt, timestamp) {
    const entry = this.find(call.worker);
    // Deadlines are told by the coordinator's clock; how far this one is off is known to a second or two.
    const late = timestamp ? arrivedAt - timestamp * 1000 || 0 : 0;
    const skew = late >= 0 && late < 2000 ? 0 : late;
    const calls = jobsIn(call);
    const jobs = calls.map((one) => new Job({ ...call, ...one }, skew, this.now, (beat) => beatBy(way, one, beat)));
    const receipts = await receiptsOf(entry, jobs);
    const isLong = this.now() - arrivedAt >= REPORT_AFTER_MS;
    const isPosted = way.url && (this.report === "always" || (this.report === "auto" && isLong));
    if (!call.jobs) {
      if (isPosted) await post(way, `${jobPath(call.jobId)}/receipt`, extended(receipts[0], fenceOf(call)), 3);
      return receipts[0];
    }
    const told = receipts.map((receipt, at) => extended(receipt, { jobId: calls[at].jobId }));
    if (isPosted) await post(way, "/receipt", listed(told.map((text, at) => extended(text, fenceOf(calls[at])))), 3);
    return listed(told);
  }

  /** Where posts go, if anywhere. The token that came with the call is their right to be heard. */
  #way(call, env, isSigned) {
    // A body that nobody has signed must not make us send requests to anywhere.
    const told = isSigned ? jobsIn(call)[0].receiptUrl : "";
    const url =
      this.options.url || variable("COORDINATOR_URL", env) || /^(https?:\/\/.+)\/job\/[^/]+\/receipt$/.exec(told)?.[1];
    return { url: url?.replace(/\/+$/, "") };
  }

  /** The secrets to try, or null if unsigned calls are taken. */
  async #secrets(env) {
    const { secret, unsigned } = this.options;
    if (unsigned) return null;
    let found = secret ?? variable("COORDINATOR_SECRET", env);
    // A binding of Cloudflare's Secrets Store is no text, it gets one.
    if (typeof found?.get === "function") found = await found.get();
    if (!found) {
      const remedy = "set COORDINATOR_SECRET, or to take unsigned calls while trying things pass unsigned: true";
      throw new Refused(500, "no_secret", remedy);
    }
    try {
      return secretsIn(found);
    } catch (wrong) {
      throw new Refused(500, "invalid_secret", wrong.message);
    }
  }

  /** Standard Webhooks 1.0. Throws what is answered. */
  async #verify(secrets, header, body) {
    const refuse = (why) => new Refused(401, "invalid_signature", why);
    const missing = HEADERS.filter((name) => !header(name));
    if (missing.length) {
      throw refuse(`no ${missing.join(", ")}: give the worker this function's secret; proxies must pass these`);
    }
    const [id, timestamp, signatures] = HEADERS.map(header);
    // NaN is not within it either.
    if (!(Math.abs(this.now() / 1000 - timestamp) <= this.tolerance)) {
      throw refuse(`webhook-timestamp is off by more than ${this.tolerance} s: set the clocks, or the call is old`);
    }
    const { subtle } = await webCrypto();
    const signed = joined([encoder.encode(`${id}.${timestamp}.`), body]);
    for (const signature of signatures.split(" ").slice(0, 16)) {
      const bytes = signature.startsWith("v1,") && fromBase64(signature.slice(3));
      for (const secret of bytes ? secrets : []) {
        // `verify` compares in constant time.
        if (await subtle.verify("HMAC", await this.#key(subtle, secret), bytes, signed)) return;
      }
    }
    throw refuse("the signature fits no secret: COORDINATOR_SECRET must be the worker's, the body as it was sent");
  }

  #key(subtle, { text, bytes }) {
    if (!this.#keys.has(text)) {
      this.#keys.set(text, subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]));
    }
    return this.#keys.get(text);
  }
}

/** What is answered instead of a receipt. */
class Refused extends Error {
  constructor(status, code, error, headers) {
    super(error);
    this.answer = answer(status, json({ code, error }), headers);
  }
}

const answer = (status, text, headers) => ({
  status,
  text,
  headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
});

function callIn(body) {
  const invalid = (what) => new Refused(400, "invalid_call", `this is no call of a coordinator: ${what}`);
  const call = parsed(new TextDecoder().decode(body));
  if (typeof call?.worker !== "string") throw invalid("no JSON that names a worker");
  const jobs = jobsIn(call);
  if (!call.ping && !(jobs.length && jobs.every((job) => typeof job?.jobId === "string"))) throw invalid("no jobId");
  return call;
}

const jobsIn = (call) => [call.jobs ?? call].flat();

/** Secrets as `{ text, bytes }`. Throws `TypeError` with the remedy, and without the secret. */
function secretsIn(given) {
  return (String(given).match(/[^\s,]+/g) ?? [""]).map((text) => {
    const bytes = text.startsWith("whsec_") && fromBase64(text.slice(6));
    if (bytes?.length >= 24 && bytes.length <= 64) return { text, bytes };
    throw new TypeError("a secret is whsec_ and base64 of 24 to 64 bytes: take the one of the worker");
  });
}

// Running ------------------------------------------------------------------------------------------------------------

/** The receipts of these jobs as JSON texts, in their order. Never rejects. */
async function receiptsOf({ fn, batch }, jobs) {
  try {
    const ended = batch
      ? await allTogether(fn, jobs)
      : await Promise.allSettled(jobs.map(async (job) => fn(job.args, job)));
    return ended.map(({ status, value, reason }, at) =>
      status === "fulfilled" ? succeeded(jobs[at], value) : failed(jobs[at], reason),
    );
  } finally {
    jobs.forEach((job) => Job.end(job));
  }
}

/** As `Promise.allSettled` tells it. */
async function allTogether(fn, jobs) {
  try {
    const values = await fn(jobs);
    if (values?.length !== jobs.length || !Array.isArray(values)) {
      throw new Failure(`a batch worker has to return an array, with an entry for each of its ${jobs.length} jobs`);
    }
    return values.map((value) => (isError(value) ? { reason: value } : { status: "fulfilled", value }));
  } catch (reason) {
    return jobs.map(() => ({ reason }));
  }
}

/** Also of another realm. */
const isError = (value) => value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";

function succeeded(job, result) {
  try {
    if (typeof Response === "function" && result instanceof Response) {
      throw new TypeError("a Response; return what is in it: await response.json()");
    }
    if (["function", "symbol"].includes(typeof result)) throw new TypeError(`a ${typeof result}`);
    return sealed(job, { status: "success", result });
  } catch (wrong) {
    return unserializable(job, wrong);
  }
}

function failed(job, error) {
  try {
    if (Job.inside(job).isAsked && isAbort(error, job.signal)) return json({ status: "cancelled" });
    return sealed(job, error?.[RECEIPT]?.() ?? { status: "failure", error: described(error) });
  } catch (unreadable) {
    return unserializable(job, unreadable);
  }
}

/** Whether it ended by its signal; what is given one may wrap the signal's reason. */
function isAbort(error, signal, depth = 0) {
  if (!error || depth > 8) return false;
  return error === signal.reason || error.name === "AbortError" || isAbort(error.cause, signal, depth + 1);
}

/** A receipt as JSON text, with the limits that the job was told. */
function sealed(job, receipt) {
  const { limits } = Job.inside(job);
  return json({ ...receipt, limits: limits || receipt.limits ? { ...limits, ...receipt.limits } : undefined });
}

function unserializable(job, wrong) {
  const message = cut(`what ${job.worker} returned or threw is no JSON: ${textOf(wrong)}`);
  return json({ status: "failure", error: { type: "UnserializableResult", message }, retryable: false });
}

/** An error for people; the stack goes on with the causes. */
function described(error) {
  if (!isError(error)) return { type: typeof error, message: cut(textOf(error)) };
  let stack = String(error.stack ?? "");
  for (let { cause } = error, depth = 0; cause && depth < 8; cause = cause.cause, depth += 1) {
    stack += `\ncaused by: ${(isError(cause) && cause.stack) || textOf(cause)}`;
  }
  const type = error.name && error.name !== "Error" ? error.name : error.constructor?.name;
  return { type: String(type), message: cut(String(error.message)), stack: cut(stack) };
}

function textOf(value) {
  try {
    if (isError(value)) return String(value.message || value.name);
    return typeof value === "object" ? json(value) : String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/** The first 4 KiB of a text. */
function cut(text) {
  const bytes = encoder.encode(text);
  // What is left of a character that was cut through becomes U+FFFD.
  return bytes.length > TEXT_LIMIT ? `${new TextDecoder().decode(bytes.subarray(0, TEXT_LIMIT - 6))}…` : text;
}

// The job ------------------------------------------------------------------------------------------------------------

/** What a function gets beside `args`. */
class Job {
  #abort = new AbortController();
  #inside = {};
  #skew;
  #now;
  #send;

  constructor(call, skew, now, send) {
    const { jobId: id, attempt = 1, maxAttempts = attempt, scheduledFor, deadline } = call;
    const { worker: name, args, queue, key = null, meta = {}, scheduleId = null } = call;
    Object.assign(this, { id, worker: name, args, attempt, maxAttempts, queue, key, meta, scheduleId });
    this.scheduledFor = scheduledFor ? new Date(scheduledFor) : null;
    this.#skew = skew;
    this.#now = now;
    this.#send = send;
    this.#until(deadline);
  }

  /** What the receipt is made of: `isAsked` to stop, `limits` that it saw. */
  static inside(job) {
    return job.#inside;
  }

  static end(job) {
    clearTimeout(job.#inside.timer);
    job.#inside.isOver = true;
  }

  get signal() {
    return this.#abort.signal;
  }

  get isLastAttempt() {
    return this.attempt >= this.maxAttempts;
  }

  heartbeat(beat = {}) {
    const beating = this.#beat(beat);
    // Whoever does not wait for it must not be ended by its rejection.
    beating.catch(() => {});
    return beating;
  }

  progress(progress, message) {
    return this.heartbeat({ progress, message });
  }

  limits(seen) {
    this.#inside.limits = { ...this.#inside.limits, ...seen };
  }

  async #beat({ progress, message, extend }) {
    const { status, body } = await this.#send({ progress, message, extend: waitOf(extend, "extend") });
    const isDelivered = !isPassing(status);
    if (status === 409) {
      this.#stop("superseded", "another attempt has taken the place of this one");
    } else if (isDelivered && status >= 300) {
      throw new CoordinatorError(status, body);
    } else if (isDelivered) {
      if (body?.deadline) this.#until(body.deadline);
      this.#inside.isAsked ||= Boolean(body?.cancelRequested);
      if (this.#inside.isAsked) this.#stop("requested", "somebody has cancelled this job");
    }
    return { cancelRequested: this.signal.aborted, deadline: this.deadline, delivered: isDelivered };
  }

  /** Abort at this instant of the coordinator's clock. */
  #until(instant) {
    const state = this.#inside;
    clearTimeout(state.timer);
    const at = Date.parse(instant) + this.#skew;
    this.deadline = at ? new Date(at) : null;
    if (!at || state.isOver) return;
    const stop = () => this.#stop("deadline", "the attempt has timed out");
    state.timer = setTimeout(stop, Math.min(at - this.#now(), 2 ** 31 - 1));
    state.timer.unref?.();
  }

  #stop(reason, message) {
    this.#abort.abort(new Cancelled(reason, message));
  }
}

function beatBy(way, call, { extend, ...beat }) {
  if (!way.url) throw new Error("no address for heartbeats: set COORDINATOR_URL (an unsigned call's is not used)");
  // A number is seconds in all of this module; the API takes ms here.
  const told = { ...beat, extend: typeof extend === "number" ? Math.round(extend * 1000) : extend, ...fenceOf(call) };
  return post(way, `${jobPath(call.jobId)}/heartbeat`, json(told), 2);
}

/** Which attempt is meant. */
const fenceOf = ({ attempt, token }) => ({ attempt, token });

/** Run a function as a call would, without network and signature. */
async function tryOut(serving, args, given = {}) {
  const { names, now } = serving;
  const { worker: name = names?.length === 1 ? names[0] : "test", onHeartbeat, ...fields } = given;
  const heartbeats = [];
  const send = async (beat) => {
    heartbeats.push(JSON.parse(json(beat)));
    return { status: 200, body: await onHeartbeat?.(heartbeats.at(-1)) };
  };
  const deadline = new Date(fields.deadline ?? now() + 900_000).toISOString();
  const call = { jobId: "test", worker: name, args, maxAttempts: 10, queue: "default", ...fields, deadline };
  const job = new Job(call, 0, now, send);
  const [receipt] = await receiptsOf(serving.find(name), [job]);
  return { receipt: JSON.parse(receipt), heartbeats };
}

// Platforms ----------------------------------------------------------------------------------------------------------

async function answerRequest(serving, request, env) {
  const read = () => {
    if (!request.bodyUsed && !request.body?.locked) return collected(request.body ?? []);
    throw alreadyRead("give wrap the request before anything reads it");
  };
  const header = (name) => request.headers.get(name);
  const { status, text, headers } = await serving.respond(request.method, header, read, env);
  return new Response(request.method === "HEAD" ? null : text, { status, headers });
}

async function answerNode(serving, req, res) {
  const read = () => {
    // Cloud Functions keep the bytes beside what they made of them.
    if (req.rawBody !== undefined) return collected([req.rawBody]);
    // A stream that is left early is not to be destroyed: its socket takes our answer.
    if (!req.readableDidRead && !req.readableEnded) return collected(req.iterator?.({ destroyOnReturn: false }) ?? req);
    // Looked at only now: on Vercel to read it is to parse it.
    if (typeof req.body === "string" || req.body instanceof Uint8Array) return collected([req.body]);
    throw alreadyRead("mount this before express.json(); in pages/api of Next.js set bodyParser: false");
  };
  const { status, text, headers } = await serving.respond(req.method, (name) => req.headers[name], read);
  // Who called may be gone, and a framework may have answered in our place.
  if (res.headersSent || res.writableEnded || res.destroyed) return;
  res.statusCode = status;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  // What is left of the body would be taken for the next request.
  if (status === 413) res.setHeader("connection", "close");
  res.end(text);
}

async function answerEvent(serving, { headers, multiValueHeaders, body, ...event }) {
  const lower = new Map();
  // A load balancer sends either these or those.
  for (const [name, value] of Object.entries({ ...multiValueHeaders, ...headers })) {
    lower.set(name.toLowerCase(), [value].flat()[0]);
  }
  const read = () => collected([event.isBase64Encoded ? fromBase64(body ?? "") : (body ?? "")]);
  // Without a method it came by no HTTP, and is told that its headers are missing.
  const method = event.requestContext?.http?.method ?? event.httpMethod ?? "POST";
  const { status, text, headers: own } = await serving.respond(method, (name) => lower.get(name), read);
  const told = { statusCode: status, headers: own, body: text, isBase64Encoded: false };
  if (headers || !multiValueHeaders) return told;
  const inLists = Object.entries(own).map(([name, value]) => [name, [value]]);
  return { ...told, headers: undefined, multiValueHeaders: Object.fromEntries(inLists) };
}

const alreadyRead = (remedy) =>
  new Refused(500, "body_already_read", `the body was read before its signature could be checked: ${remedy}`);

/** The bytes of a stream, or of a list of texts and bytes. */
async function collected(stream) {
  const chunks = [];
  let size = 0;
  for await (const chunk of stream) {
    chunks.push(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
    size += chunks.at(-1).length;
    if (size > BODY_LIMIT) throw new Refused(413, "payload_too_large", `the body is over ${BODY_LIMIT} bytes`);
  }
  return joined(chunks);
}

// The client ---------------------------------------------------------------------------------------------------------

export class Coordinator {
  #url;
  #token;

  constructor(url = variable("COORDINATOR_URL"), token = variable("COORDINATOR_TOKEN")) {
    if (!url) throw new TypeError("no address: set COORDINATOR_URL, or new Coordinator(url, token)");
    this.#url = new URL(url).href.replace(/\/+$/, "");
    this.#token = token;
  }

  enqueue(name, args, { idempotencyKey, trace, ...fields } = {}) {
    return this.#make("/job", { worker: name, args, ...fields }, idempotencyKey, trace);
  }

  enqueueMany(jobs, { idempotencyKey, trace, ...fields } = {}) {
    return this.#make("/job/batch", { jobs, ...fields }, idempotencyKey, trace);
  }

  async #make(path, body, key, trace) {
    return this.request("POST", path, body, { idempotencyKey: key ?? (await webCrypto()).randomUUID(), trace });
  }

  get(id) {
    return this.request("GET", jobPath(id));
  }

  async *list(filter = {}) {
    for (let { cursor } = filter; cursor !== null;) {
      // By way of JSON: dates become texts, and what is undefined goes.
      const page = await this.request("GET", `/job?${new URLSearchParams(JSON.parse(json({ ...filter, cursor })))}`);
      yield* page.items;
      ({ cursor } = page);
    }
  }

  cancel(id) {
    return this.request("POST", `${jobPath(id)}/cancel`);
  }

  retry(id, changes) {
    return this.request("POST", `${jobPath(id)}/retry`, changes);
  }

  run(id) {
    return this.request("POST", `${jobPath(id)}/run`);
  }

  async wait(id, { timeout = 900 } = {}) {
    const endsAt = Date.now() + timeout * 1000;
    for (;;) {
      const leftMs = Math.max(endsAt - Date.now(), 0);
      const waitMs = Math.min(Math.round(leftMs), CLIENT_LIMIT_MS);
      const job = await this.request("GET", `${jobPath(id)}?wait=${waitMs}ms`);
      if (["succeeded", "dead", "cancelled"].includes(job.state)) return job;
      const refuse = (code, detail) => new CoordinatorError(0, { code, detail });
      if (job.kind === "schedule") throw refuse("not_a_run", `${id} is a schedule; wait for a job that it makes`);
      if (leftMs === 0) throw refuse("wait_timeout", `${id} is still ${job.state} after ${timeout} s`);
    }
  }

  async request(method, path, body, { idempotencyKey, trace } = {}) {
    const isRepeatable = method === "GET" || idempotencyKey !== undefined;
    const {
      status,
      body: told,
      cause,
    } = await exchange(method, this.#url + path, {
      text: body === undefined ? undefined : json(body),
      token: this.#token,
      headers: { ...trace, ...(idempotencyKey && { "idempotency-key": idempotencyKey }) },
      limitMs: CLIENT_LIMIT_MS + POST_LIMIT_MS,
      tries: isRepeatable ? 3 : 1,
    });
    if (status >= 200 && status < 300) return told;
    throw new CoordinatorError(status, told, cause);
  }
}

// HTTP, JSON, bytes --------------------------------------------------------------------------------------------------

const jobPath = (id) => `/job/${encodeURIComponent(id)}`;

const post = ({ url }, path, text, tries) => exchange("POST", url + path, { text, tries, limitMs: POST_LIMIT_MS });

/** Whether the same request may be answered otherwise soon; 0 is of no answer at all. */
const isPassing = (status) => status === 0 || status === 429 || status >= 500;

/** A request, again while its failure is passing, and the last answer: `{ status, body, cause }`. Never rejects. */
async function exchange(method, url, { tries, ...request }) {
  for (let tried = 1; ; tried += 1) {
    const reply = await once(method, url, request);
    const waitMs = reply.afterMs || PAUSES_MS[tried - 1];
    if (!isPassing(reply.status) || tried === tries || waitMs > request.limitMs) return reply;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

async function once(method, url, { text, token, headers, limitMs }) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new Error(`no answer within ${limitMs} ms`)), limitMs);
  try {
    const response = await fetch(url, {
      method,
      body: text,
      headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }), ...headers },
      redirect: "manual", // followed, a POST may become a GET
      // Next.js keeps what is fetched; workerd does not, and may not know the word.
      ...(typeof WebSocketPair === "undefined" && { cache: "no-store" }),
      signal: abort.signal,
    });
    const body = parsed(await response.text());
    return { status: response.status, body, afterMs: Number(response.headers.get("retry-after")) * 1000 };
  } catch (cause) {
    const detail = `${url} does not answer: ${textOf(cause.cause ?? cause)}`;
    return { status: 0, body: { code: "unreachable", detail }, cause };
  } finally {
    clearTimeout(timer);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** JSON text. Half of a surrogate pair, which no reader takes, becomes U+FFFD. */
function json(value) {
  const text = JSON.stringify(value);
  return text.replace(/\\(?:ud[89a-f][0-9a-f]{2}|.)/g, (escape) => (escape.length > 2 ? "\\ufffd" : escape));
}

/** The text of a JSON object that is not empty, with further fields. */
const extended = (text, fields) => `${text.slice(0, -1)},${json(fields).slice(1)}`.replace(/,\}$/, "}");

const listed = (texts) => `{"receipts":[${texts}]}`;

/** Seconds, or a text that the coordinator reads. */
function waitOf(value, name = "after") {
  const isFine = typeof value === "number" ? value >= 0 && value < Infinity : typeof value === "string" && value;
  if (isFine || value === undefined) return value;
  throw new TypeError(`${name} is a number of seconds, or a duration such as "30s" or "5m"`);
}

/** What the platform has under this name. */
function variable(name, env) {
  try {
    const { process, Deno, Netlify } = globalThis;
    return env?.[name] || process?.env?.[name] || Deno?.env.get(name) || Netlify?.env.get(name);
  } catch {
    return undefined; // Deno without --allow-env
  }
}

async function webCrypto() {
  const node = "node:crypto"; // of Node 18; a variable, so that no bundler looks for it
  return globalThis.crypto ?? (await import(/* webpackIgnore: true */ /* @vite-ignore */ node)).webcrypto;
}

/** Bytes, or undefined. */
function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function joined(chunks) {
  const whole = new Uint8Array(chunks.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
