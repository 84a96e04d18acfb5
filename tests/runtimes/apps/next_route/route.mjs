/** A route handler as Next.js has it, in `app/api/jobs/route.js`. */

import { wrap } from "../../../../coordinator/sdk/coordinator.mjs";
import "../workers.mjs";

export const POST = wrap();
