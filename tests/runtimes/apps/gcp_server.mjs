/**
 * The server of Google's functions framework, on this machine alone: its command listens to everybody.
 *
 * Usage: node gcp_server.mjs <module> <name of its function>
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { getTestServer } from "@google-cloud/functions-framework/testing";

const [path, name] = process.argv.slice(2);
await import(pathToFileURL(resolve(path)));
getTestServer(name).listen(process.env.PORT, "127.0.0.1");
