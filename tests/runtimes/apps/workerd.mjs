/** Cloudflare Workers. A default export that is a function would be taken for a class. */

import { wrap } from "../../../coordinator/sdk/coordinator.mjs";
import "./workers.mjs";

export default { fetch: wrap() };
