/**
 * What stands before a function on Lambda: HTTP comes in, the handler gets an event of a function URL (version 2.0).
 *
 * Usage: node lambda_server.mjs <module that exports `handler`>
 */

import { createServer } from "node:http";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const { handler } = await import(pathToFileURL(resolve(process.argv[2])));

createServer(async (req, res) => {
  const body = Buffer.concat(await req.toArray());
  // JSON comes as text, what is no text as base64.
  const isBase64Encoded = !/json|text/.test(req.headers["content-type"] ?? "");
  const { pathname, search } = new URL(req.url, "http://function");
  const event = {
    version: "2.0",
    routeKey: "$default",
    rawPath: pathname,
    rawQueryString: search.slice(1),
    headers: req.headers,
    requestContext: { http: { method: req.method, path: pathname, protocol: "HTTP/1.1" }, routeKey: "$default" },
    body: body.length ? body.toString(isBase64Encoded ? "base64" : "utf8") : undefined,
    isBase64Encoded,
  };
  const answer = await handler(event, { awsRequestId: "1", getRemainingTimeInMillis: () => 900_000 });
  res.writeHead(answer.statusCode, answer.headers);
  res.end(answer.isBase64Encoded ? Buffer.from(answer.body, "base64") : answer.body);
}).listen(process.env.PORT, "127.0.0.1");
