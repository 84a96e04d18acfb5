// The pages there are, in the order in which they stand at the side.

import { can, isHeld } from "../core/session.js";
import { Audit } from "../pages/audit.js";
import { Batch } from "../pages/batch.js";
import { Dead } from "../pages/dead.js";
import { Job } from "../pages/job.js";
import { Jobs } from "../pages/jobs.js";
import { NewJob } from "../pages/new_job.js";
import { Nowhere } from "../pages/nowhere.js";
import { Overview } from "../pages/overview.js";
import { Queue } from "../pages/queue.js";
import { Queues } from "../pages/queues.js";
import { Schedule } from "../pages/schedule.js";
import { Schedules } from "../pages/schedules.js";
import { SessionPage } from "../pages/session.js";
import { Tokens } from "../pages/tokens.js";
import { Workers } from "../pages/workers.js";

const isForAll = () => can("read") && !isHeld();
const isAdmin = () => can("admin");

export const PLACES = [
  { name: "overview", title: "Overview", key: "o", isSeen: () => can("read") },
  { name: "jobs", title: "Jobs", key: "j", isSeen: () => can("read") },
  { name: "queues", title: "Queues", key: "q", isSeen: () => can("read") },
  { name: "schedules", title: "Schedules", key: "s", isSeen: () => can("read") },
  { name: "workers", title: "Workers", key: "w", isSeen: isForAll },
  { name: "dead", title: "Dead letters", key: "d", isSeen: () => can("read") },
  { name: "tokens", title: "Tokens", key: "t", isSeen: isAdmin },
  { name: "audit", title: "Audit log", key: "a", isSeen: isAdmin },
];

const LISTS = {
  overview: Overview,
  jobs: Jobs,
  queues: Queues,
  schedules: Schedules,
  workers: Workers,
  dead: Dead,
  tokens: Tokens,
  audit: Audit,
  new: NewJob,
  session: SessionPage,
};
const SINGLES = { job: Job, jobs: Job, queues: Queue, schedules: Schedule, batches: Batch };

/** The page of a route. */
export function pageOf({ parts }) {
  if (!parts.length) {
    return can("read") ? Overview : SessionPage;
  }
  return (parts.length === 1 ? LISTS[parts[0]] : parts.length === 2 ? SINGLES[parts[0]] : null) ?? Nowhere;
}
