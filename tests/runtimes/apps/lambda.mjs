/** AWS Lambda. */

import { wrap } from "../../../coordinator/sdk/coordinator.mjs";
import "./workers.mjs";

export const handler = wrap();
