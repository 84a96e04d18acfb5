// The pages there are, in the order in which they stand at the side.

import { can, isHeld, session } from "../core/session.js";
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

/** `scope` is what a page needs; one that `isOfAll` tells of all queues, and is not for tokens that are for some. */
const PLACES = [
  { name: "overview", title: "Overview", key: "o", scope: "read" },
  { name: "jobs", title: "Jobs", key: "j", scope: "read" },
  { name: "queues", title: "Queues", key: "q", scope: "read" },
  { name: "schedules", title: "Schedules", key: "s", scope: "read" },
  { name: "workers", title: "Workers", key: "w", scope: "read", isOfAll: true },
  { name: "dead", title: "Dead letters", key: "d", scope: "read" },
  { name: "tokens", title: "Tokens", key: "t", scope: "admin", isOfAll: true },
  { name: "audit", title: "Audit log", key: "a", scope: "admin", isOfAll: true },
];
/** Those that do not stand at the side. */
const ASIDE = [
  { name: "job", title: "Job", scope: "read" },
  { name: "batches", title: "Batch", scope: "read" },
  { name: "new", title: "New job", scope: "enqueue" },
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

/** Those at the side that the token is for. */
export const placesSeen = () => PLACES.filter((place) => !objectionTo(place));

/** What the token lacks for the page of a route: `{title, why}`; null if nothing. */
export function refusalOf({ parts }) {
  const place = [...PLACES, ...ASIDE].find(({ name }) => name === parts[0]);
  const why = place && objectionTo(place);
  return why ? { title: place.title, why } : null;
}

function objectionTo({ scope, isOfAll }) {
  const { scopes, queues } = session();
  if (!can(scope)) {
    return `This page needs a token with the scope ${scope}; this one has ${scopes.join(", ")}.`;
  }
  return isOfAll && isHeld() ? `This page tells of all queues, and this token is for ${queues.join(", ")} only.` : null;
}

/** The page of a route. */
export function pageOf({ parts }) {
  if (!parts.length) {
    return can("read") ? Overview : SessionPage;
  }
  return (parts.length === 1 ? LISTS[parts[0]] : parts.length === 2 ? SINGLES[parts[0]] : null) ?? Nowhere;
}
