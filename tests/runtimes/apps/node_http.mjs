/** A server of Node without any framework. */

import { createServer } from "node:http";

import { wrap } from "../../../coordinator/sdk/coordinator.mjs";
import "./workers.mjs";

createServer(wrap()).listen(process.env.PORT, "127.0.0.1");
