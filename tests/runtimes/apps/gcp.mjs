/** Google's functions framework, which Cloud Functions and Cloud Run start. It reads the body and keeps its bytes. */

import { http } from "@google-cloud/functions-framework";

import { wrap } from "../../../coordinator/sdk/coordinator.mjs";
import "./workers.mjs";

http("jobs", wrap());
