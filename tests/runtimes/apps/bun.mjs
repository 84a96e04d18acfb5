/** Bun. Without `idleTimeout: 0` it cuts whatever takes ten seconds. */

import { wrap } from "../../../coordinator/sdk/coordinator.mjs";
import "./workers.mjs";

Bun.serve({ port: process.env.PORT, hostname: "127.0.0.1", idleTimeout: 0, fetch: wrap() });
