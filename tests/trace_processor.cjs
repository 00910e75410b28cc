// Perfetto's trace processor as an HTTP server on this machine, without a download.
//
//     node trace_processor.cjs FOLDER
//
// FOLDER is a build of Perfetto's user interface; engine_bundle.js and trace_processor*.wasm in it are the trace
// processor, made for a browser's worker.  This loads them in node and passes requests on: POST /parse, /query and
// /status and GET /notify_eof, as the Python client (`TraceProcessor(addr=...)`) sends them.  Prints the port as soon
// as queries are answered, and ends when stdin does.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const {setImmediate: turn} = require("node:timers/promises");

const folder = process.argv[2];

// Numbers of perfetto/protos/trace_processor.proto: TraceProcessorRpc, and its method and fields for each path.
const [REQUEST, FATAL_ERROR, INVALID_REQUEST] = [2, 5, 4];
const CALLS = {
  "/parse": {method: 1, argument: 101, result: 201},
  "/notify_eof": {method: 2, result: 212},
  "/query": {method: 3, argument: 103, result: 203},
  "/status": {method: 10, result: 210},
};
const [VARINT, BYTES] = [0, 2];

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

function bytesField(number, payload) {
  return Buffer.concat([varint(number * 8 + BYTES), varint(payload.length), payload]);
}

// The fields of a message, [number, value] each; there are only numbers and lengths with bytes in these ones.
function* fields(message) {
  let at = 0;
  function number() {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw new Error("a reply ends too early");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }
  while (at < message.length) {
    const tag = number();
    if (![VARINT, BYTES].includes(tag % 8)) throw new Error(`a reply has a field of type ${tag % 8}`);
    const value = number();
    if (tag % 8 === BYTES) at += value;
    if (at > message.length) throw new Error("a reply ends too early");
    yield [Math.floor(tag / 8), tag % 8 === BYTES ? message.subarray(at - value, at) : value];
  }
}

// What the bundle uses of a browser to read its program: one request, answered before send() returns.
class FileRequest {
  open(_method, name) {
    this.path = path.join(folder, path.basename(String(name)));
  }
  send() {
    this.response = new Uint8Array(fs.readFileSync(this.path)).buffer;
  }
}

// The worker that the bundle believes it is in: it gets a port, and answers to the port before its listener returns.
function startEngine() {
  const replies = [];
  const port = {postMessage: (bytes) => replies.push(Buffer.from(bytes))};
  const self = {location: {href: ""}};
  // It takes itself to be in node where it sees `process`, and in a worker by WorkerGlobalScope; it was built for those.
  const scope = {self, WorkerGlobalScope: Object, XMLHttpRequest: FileRequest, process: undefined};
  const source = fs.readFileSync(path.join(folder, "engine_bundle.js"), "utf8");
  new Function(...Object.keys(scope), source)(...Object.values(scope));
  self.onmessage({data: port});
  return (bytes) => {
    replies.length = 0;
    port.onmessage({data: new Uint8Array(bytes)});
    return Buffer.concat(replies);
  };
}

// A result comes in several messages; their concatenation is the protobuf message that they make together.
function call(engine, {method, argument, result}, body) {
  const head = Buffer.concat([varint(REQUEST * 8 + VARINT), varint(method)]);
  const request = argument ? Buffer.concat([head, bytesField(argument, body)]) : head;
  const results = [];
  for (const [, message] of fields(engine(bytesField(1, request)))) {
    for (const [number, value] of fields(message)) {
      if (number === FATAL_ERROR) throw new Error(`trace processor: ${value}`);
      if (number === INVALID_REQUEST) throw new Error(`trace processor: it does not know method ${value}`);
      if (number === result) results.push(value);
    }
  }
  if (!results.length) throw new Error(`trace processor: no answer to method ${method}`);
  return Buffer.concat(results);
}

// Without the source line that node would print: the bundle is a few lines of thousands of characters.
function fail(error) {
  console.error(error instanceof Error ? error.stack : error);
  process.exit(1);
}

async function main() {
  process.on("uncaughtException", fail);
  console.log = console.warn = console.error; // stdout is for the port
  const engine = startEngine();
  await turn(); // it is loaded, and prepares for requests in a callback
  call(engine, CALLS["/status"]);
  const server = http.createServer(async (request, response) => {
    try {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      if (!CALLS[request.url]) throw new Error(`no such request: ${request.url}`);
      response.end(call(engine, CALLS[request.url], Buffer.concat(chunks)));
    } catch (error) {
      fail(error); // the client takes any answer, also an error's, for a result without rows
    }
  });
  server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
  process.stdin.on("end", () => process.exit(0)).resume();
}

main().catch(fail);
