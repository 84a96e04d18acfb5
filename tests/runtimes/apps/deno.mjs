/** Deno. */

import { wrap } from "../../../coordinator/sdk/coordinator.mjs";
import "./workers.mjs";

Deno.serve({ port: Number(Deno.env.get("PORT")), hostname: "127.0.0.1" }, wrap());
