/**
 * What stands before a function that takes a Web request: a server of Node, as Next.js and Netlify have one.
 *
 * Usage: node web_server.mjs <module> <context>
 *
 * The module exports a function for each method, else one by default; the second argument of these is the context, as
 * JSON. A method that is not exported is answered 405, as by Next.js.
 */

import { createServer } from "node:http";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";

const [path, context = '{"params":{}}'] = process.argv.slice(2);
const route = await import(pathToFileURL(resolve(path)));

createServer(async (req, res) => {
  const hasBody = !["GET", "HEAD"].includes(req.method);
  const request = new Request(new URL(req.url, "http://function"), {
    method: req.method,
    headers: req.headers,
    ...(hasBody && { body: Readable.toWeb(req), duplex: "half" }),
  });
  const handler = route[req.method] ?? route.default;
  const answer = handler ? await handler(request, JSON.parse(context)) : new Response(null, { status: 405 });
  res.writeHead(answer.status, Object.fromEntries(answer.headers));
  res.end(Buffer.from(await answer.arrayBuffer()));
}).listen(process.env.PORT, "127.0.0.1");
