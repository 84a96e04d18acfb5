/** Types of coordinator.mjs. They need `Request` and `AbortSignal`, which the types of every runtime have. */

export const VERSION: string;

/** Seconds as a number, or a duration such as `"500ms"`, `"30s"`, `"5m"`, `"2h"`. */
export type Wait = number | string;

/** A length of time as the API reads it: `"500ms"`, `"30s"`, `"5m"`, or a number of **milliseconds**. */
export type Duration = string | number;

/** An instant: `2030-01-01T10:00:00Z`, `2030-01-01 10:00:00 AM`, Unix seconds or ms, or a `Date`. */
export type Instant = string | number | Date;

/** What was seen of an API's limits: `{ used: 32, max: 40 }` or `{ remaining: 988, max: 1000, restoreRate: 50 }`. */
export interface Limits {
  readonly used?: number;
  readonly remaining?: number;
  readonly max?: number;
  readonly restoreRate?: number;
  /** What this job really cost. */
  readonly cost?: number;
}

// What a function is given --------------------------------------------------------------------------------------------

export interface Beat {
  /** 0 to 100. */
  readonly progress?: number | undefined;
  /** Up to 1024 bytes, for people. */
  readonly message?: string | undefined;
  /** A new time-out from now, up to 24 h in all. */
  readonly extend?: Wait | undefined;
}

export interface BeatAnswer {
  /** Whether the function should stop: somebody has cancelled the job, or another attempt has taken its place. */
  readonly cancelRequested: boolean;
  /** When the attempt times out now, by this machine's clock. */
  readonly deadline: Date | null;
  /** False if the coordinator could not be reached; the work goes on. */
  readonly delivered: boolean;
}

/** The job that a function is called for. */
export interface Job<Args = any> {
  readonly id: string;
  readonly worker: string;
  readonly args: Args;
  /** 1 for the first. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Whether a failure now is the last. */
  readonly isLastAttempt: boolean;
  readonly queue: string;
  readonly key: string | null;
  readonly meta: { readonly [name: string]: any };
  /** The tick that made it, of the job of a schedule. */
  readonly scheduledFor: Date | null;
  readonly scheduleId: string | null;
  /** When the attempt times out, by this machine's clock; a heartbeat with `extend` moves it. */
  readonly deadline: Date | null;
  /**
   * Aborts when a heartbeat learns that the job is cancelled or that another attempt has taken its place, and at the
   * deadline. Its `reason` is a `Cancelled`. What ends by it after a cancellation ends the job as `cancelled`.
   */
  readonly signal: AbortSignal;
  /** Say that it goes on. Resolves also if nobody could be reached; rejects for a wrong argument. */
  heartbeat(beat?: Beat): Promise<BeatAnswer>;
  /** A heartbeat with a percentage. */
  progress(percent: number, message?: string): Promise<BeatAnswer>;
  /** Tell what was seen of an API's limits. It goes into the receipt, whatever that says. */
  limits(seen: Limits): void;
}

/** Why `job.signal` has aborted. Its `name` is `AbortError`. */
export class Cancelled extends Error {
  constructor(reason: Cancelled["reason"], message?: string);
  readonly reason: "requested" | "superseded" | "deadline";
}

// What a function may throw -------------------------------------------------------------------------------------------

export interface FailureOptions {
  /** The error's type in the log of attempts; the class's name if left out. */
  type?: string | undefined;
  /** False: the job is dead at once. */
  retryable?: boolean | undefined;
  /** Not tried again before. */
  after?: Wait | undefined;
  /** Any JSON, kept with the error. */
  data?: unknown;
  limits?: Limits | undefined;
  cause?: unknown;
}

/** It failed. Any other error is a failure too. */
export class Failure extends Error {
  constructor(message: string, options?: FailureOptions);
  readonly retryable: boolean;
  readonly after: Wait | undefined;
  readonly data: unknown;
  readonly limits: Limits | undefined;
}

/** It failed, and is to be tried again, not before `after`. The attempt counts. */
export class Retry extends Failure {
  constructor(options?: Omit<FailureOptions, "retryable"> & { message?: string | undefined });
}

/** It failed, and would fail each time: the job is dead at once. */
export class Fatal extends Failure {
  constructor(message: string, options?: Omit<FailureOptions, "retryable" | "after">);
}

/** Nothing is wrong, it is only too early: called again after that time. No attempt is spent. */
export class Snooze extends Error {
  constructor(options: { after: Wait; limits?: Limits | undefined });
  readonly after: Wait;
  readonly limits: Limits | undefined;
}

/** The other side has had enough: all jobs of this key wait, 5 s if it does not say. No attempt is spent. */
export class Throttled extends Error {
  constructor(options?: { after?: Wait | undefined; limits?: Limits | undefined });
  readonly after: Wait | undefined;
  readonly limits: Limits | undefined;
}

// Handlers ------------------------------------------------------------------------------------------------------------

/** Does a job. What it returns, any JSON, is the result; what it throws is the failure. */
export type Work<Args = any, Result = unknown> = (args: Args, job: Job<Args>) => Result | Promise<Result>;

/** Does all jobs of a call: an entry for each, in their order; an `Error` among them is that job's failure. */
export type BatchWork<Args = any, Result = unknown> = (
  jobs: Job<Args>[],
) => readonly (Result | Error)[] | Promise<readonly (Result | Error)[]>;

export interface WrapOptions {
  /**
   * `whsec_…`, as the worker was registered with; several while it changes. Else `COORDINATOR_SECRET` of the
   * handler's environment (Cloudflare) or of the process, which may hold several, with spaces or commas between.
   */
  secret?: string | readonly (string | undefined)[] | null | undefined;
  /** Take calls without a signature, from anybody; for trying things. */
  unsigned?: boolean | undefined;
  /** Where the coordinator is, for heartbeats and receipts. Else `COORDINATOR_URL`, else what a signed call tells. */
  url?: string | undefined;
  /** When the receipt is posted before it is answered: `"auto"`, after 10 s, because proxies cut long calls. */
  report?: "auto" | "always" | "never" | undefined;
  /** How old a call may be, in seconds (300). */
  tolerance?: number | undefined;
  /** The clock, in Unix ms. */
  now?: (() => number) | undefined;
}

/** What Node's `IncomingMessage` has, and Express' and Cloud Functions' requests. */
export interface NodeRequest extends AsyncIterable<any> {
  method?: string | undefined;
  headers: { [name: string]: string | string[] | undefined };
}

/** What Node's `ServerResponse` has. */
export interface NodeResponse {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: string): unknown;
  end(text: string): unknown;
}

/** An event of a function URL, of API Gateway (v1 and v2), or of a load balancer. */
export interface LambdaEvent {
  body?: string | null | undefined;
  isBase64Encoded?: boolean | undefined;
  headers?: { [name: string]: string | undefined } | null | undefined;
}

export interface LambdaAnswer {
  statusCode: number;
  headers?: { [name: string]: string };
  multiValueHeaders?: { [name: string]: string[] };
  body: string;
  isBase64Encoded: boolean;
}

export interface TestOptions {
  /** Which one, if several are served. */
  worker?: string | undefined;
  jobId?: string | undefined;
  attempt?: number | undefined;
  /** 10 if left out. */
  maxAttempts?: number | undefined;
  queue?: string | undefined;
  key?: string | null | undefined;
  meta?: { [name: string]: any } | undefined;
  scheduledFor?: Instant | undefined;
  scheduleId?: string | undefined;
  /** In 15 minutes if left out. */
  deadline?: Instant | undefined;
  /** Answers a heartbeat as the coordinator would; `{ cancelRequested: true }` cancels. */
  onHeartbeat?: ((beat: Beat) => HeartbeatReply | Promise<HeartbeatReply>) | undefined;
}

type HeartbeatReply = { cancelRequested?: boolean; deadline?: string } | void;

/** The message that ends an attempt. */
export interface Receipt<Result = any> {
  status: "success" | "failure" | "snooze" | "throttled" | "cancelled";
  result?: Result;
  error?: { type: string; message: string; stack?: string; data?: any };
  retryable?: false;
  retryAfter?: Wait;
  limits?: Limits;
}

export interface Handler<Args = any, Result = any> {
  (req: NodeRequest, res: NodeResponse, next?: unknown): Promise<void>;
  (event: LambdaEvent, context?: unknown): Promise<LambdaAnswer>;
  (request: Request, env?: any, context?: any): Promise<Response>;
  /** The handler for `(Request, env)` alone. */
  fetch(request: Request, env?: any, context?: any): Promise<Response>;
  /** The handler for Node's `(req, res)` alone. */
  node(req: NodeRequest, res: NodeResponse, next?: unknown): Promise<void>;
  /** The handler for Lambda alone. */
  lambda(event: LambdaEvent, context?: unknown): Promise<LambdaAnswer>;
  /** Run it as a call would, without network and signature: the receipt as the coordinator would get it. */
  test(args: Args, options?: TestOptions): Promise<{ receipt: Receipt<Result>; heartbeats: Beat[] }>;
}

/** Serve one function, under any name of a worker. */
export function wrap<Args = any, Result = any>(
  work: BatchWork<Args, Result>,
  options: WrapOptions & { batch: true },
): Handler<Args, Result>;
export function wrap<Args = any, Result = any>(
  work: Work<Args, Result>,
  options?: WrapOptions & { batch?: false },
): Handler<Args, Result>;
/** Serve these workers, or all that `worker` has registered. */
export function wrap(workers?: { readonly [name: string]: Work<any> } | null, options?: WrapOptions): Handler;

/** Register a worker, for `wrap()`. Returns the function. */
export function worker<F extends BatchWork<any>>(name: string, fn: F, options: { batch: true }): F;
export function worker<F extends Work<any>>(name: string, fn: F, options?: { batch?: false }): F;

// The client ----------------------------------------------------------------------------------------------------------

export interface Callback {
  worker: string;
  args?: unknown;
  queue?: string | undefined;
}

export interface Backoff {
  type?: "exponential" | "linear" | "fixed" | "polynomial";
  base?: Duration;
  factor?: number;
  max?: Duration;
  jitter?: number;
}

export interface Unique {
  by: string[];
  states?: "waiting" | "incomplete" | "all";
  period?: Duration;
  onConflict?: "keep" | "reject" | "replace";
}

/** The fields of `POST /job`. */
export interface JobFields {
  runAt?: Instant | undefined;
  delay?: Duration | undefined;
  timezone?: string | undefined;
  queue?: string | undefined;
  key?: string | undefined;
  priority?: number | undefined;
  cost?: number | undefined;
  maxAttempts?: number | undefined;
  backoff?: Backoff | undefined;
  retry?: Duration[] | undefined;
  maxRetryDuration?: Duration | undefined;
  timeout?: Duration | undefined;
  heartbeatTimeout?: Duration | undefined;
  expiresIn?: Duration | undefined;
  unique?: string | Unique | undefined;
  tags?: string[] | undefined;
  meta?: { [name: string]: unknown } | undefined;
  onSuccess?: Callback | undefined;
  onFailure?: Callback | undefined;
  batchId?: string | undefined;
}

/** A schedule's own fields; one of `cron` and `every`. */
export type ScheduleFields = ({ cron: string } | { every: Duration }) & {
  seconds?: boolean | undefined;
  startAt?: Instant | undefined;
  endAt?: Instant | undefined;
  maxRuns?: number | undefined;
  overlap?: "skip" | "allow" | "queue" | "cancel" | undefined;
  misfire?: "one" | "skip" | "all" | undefined;
  misfireWindow?: Duration | undefined;
  dst?: { gap?: "next" | "skip"; fold?: "first" | "both" } | undefined;
};

export interface BatchFields {
  /** All or none, for the jobs of one queue. */
  atomic?: boolean | undefined;
  onComplete?: Callback | undefined;
  onSuccess?: Callback | undefined;
  onFailure?: Callback | undefined;
}

export interface Keyed {
  /** The caller's own name for this request; random if left out. A request that is repeated under it is made once. */
  idempotencyKey?: string | undefined;
  /** The headers that OpenTelemetry's `inject` makes: the trace that the jobs belong to. */
  trace?: { traceparent?: string; tracestate?: string } | undefined;
}

export type JobState = "scheduled" | "queued" | "running" | "retrying" | "succeeded" | "dead" | "cancelled";

export interface AttemptInfo {
  attempt: number;
  startedAt: string | null;
  finishedAt: string | null;
  outcome: "success" | "failure" | "timeout" | "lost" | "snoozed" | "throttled" | "cancelled" | "stale";
  httpStatus: number | null;
  durationMs: number | null;
  error: any;
}

/** A job as the coordinator tells it. Instants are ISO 8601 in UTC. */
export interface JobInfo {
  id: string;
  kind: "job";
  worker: string;
  args: any;
  queue: string;
  key: string | null;
  priority: number;
  cost: number;
  state: JobState;
  reason: string | null;
  attempt: number;
  maxAttempts: number;
  snoozes: number;
  throttles: number;
  createdAt: string | null;
  runAt: string | null;
  startedAt: string | null;
  deadline: string | null;
  finishedAt: string | null;
  answered: string | null;
  nextAttemptAt: string | null;
  scheduledFor: string | null;
  scheduleId: string | null;
  batchId: string | null;
  tags: string[];
  meta: { [name: string]: any };
  unique: string | null;
  progress: number | null;
  message: string | null;
  cancelRequested: boolean;
  result: any;
  lastError: any;
  attempts: AttemptInfo[];
  waitingFor: ({ type: string } & { [name: string]: any })[];
  /** True of a job that stands for the one that was to be made. */
  duplicate?: boolean;
  timeoutMs: number;
  heartbeatTimeoutMs: number | null;
  expiresInMs: number | null;
  retry: number[] | null;
  maxRetryDurationMs: number | null;
}

/** A schedule as the coordinator tells it. */
export interface ScheduleInfo {
  id: string;
  kind: "schedule";
  name: string | null;
  owner: string | null;
  state: "active" | "paused" | "ended";
  worker: string;
  args: any;
  queue: string;
  key: string | null;
  cron: string | null;
  everyMs: number | null;
  timezone: string;
  createdAt: string | null;
  nextRunAt: string | null;
  lastRunAt: string | null;
  runs: number;
  missed: number;
  skipped: number;
}

export interface BatchInfo {
  id: string;
  kind: "batch";
  state: "open" | "complete";
  total: number;
  pending: number;
  succeeded: number;
  dead: number;
  cancelled: number;
  /** What became of each job, in their order. */
  jobs: { status: number; id?: string; duplicate?: boolean; error?: { code: string; detail: string } }[];
}

export interface Filter {
  queue?: string | undefined;
  state?: JobState | undefined;
  worker?: string | undefined;
  key?: string | undefined;
  tag?: string | undefined;
  scheduleId?: string | undefined;
  batchId?: string | undefined;
  createdAfter?: Instant | undefined;
  finishedBefore?: Instant | undefined;
  error?: string | undefined;
  unique?: string | undefined;
  /** Of a page, up to 200. */
  limit?: number | undefined;
  cursor?: string | undefined;
}

/** A client of the coordinator. What can be repeated without harm is tried up to three times. */
export class Coordinator {
  /** Left out, these are COORDINATOR_URL and COORDINATOR_TOKEN of the process. */
  constructor(url?: string, token?: string);
  /** Make a job; with `cron` or `every` a schedule. */
  enqueue(worker: string, args: unknown, options: ScheduleFields & JobFields & Keyed): Promise<ScheduleInfo>;
  enqueue(worker: string, args?: unknown, options?: JobFields & Keyed): Promise<JobInfo>;
  /** Make up to 1000 jobs together. */
  enqueueMany(
    jobs: readonly ({ worker: string; args?: unknown } & JobFields)[],
    options?: BatchFields & Keyed,
  ): Promise<BatchInfo>;
  /** A job with its attempts, or a schedule. */
  get(id: string): Promise<JobInfo>;
  /** All jobs that a filter finds, page by page: `for await (const job of coordinator.list({ state: "dead" }))`. */
  list(filter?: Filter): AsyncGenerator<JobInfo, void, undefined>;
  /** Cancel one that waits; one that runs is asked to stop, at its next heartbeat. */
  cancel(id: string): Promise<JobInfo>;
  /** A dead or cancelled job anew, with all its attempts; with other `args` if they are given. */
  retry(id: string, changes?: { args?: unknown }): Promise<JobInfo>;
  /** Due now, within the limits. */
  run(id: string): Promise<JobInfo>;
  /** The job when it is final. Rejects with the code `wait_timeout` after `timeout` seconds (900). */
  wait(id: string, options?: { timeout?: number }): Promise<JobInfo>;
  /** Any other request of the API, e.g. `request("PUT", "/worker/send-email", { url })`. */
  request<Answer = any>(method: string, path: string, body?: unknown, options?: Keyed): Promise<Answer>;
}

/** What the coordinator refused (its problem document), or that nobody answered (`status` 0, code `unreachable`). */
export class CoordinatorError extends Error {
  constructor(status: number, problem?: { code?: string; detail?: string; errors?: FieldError[] }, cause?: unknown);
  readonly status: number;
  /** A stable word, such as `validation_error` or `job_not_found`. */
  readonly code: string;
  readonly detail: string;
  /** Which fields are wrong, and what would be right. */
  readonly errors: readonly FieldError[];
}

export interface FieldError {
  path: string;
  message: string;
}
