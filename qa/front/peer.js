/* How Node's parser (llhttp) reads streams of requests: node peer.js FILE, with the file
   and the lines that come out as in peers.py. It is the parser that every server of
   Node's `http` uses, with the same settings. */
'use strict';

process.removeAllListeners('warning');
const fs = require('fs');
const {HTTPParser, methods} = require('_http_common');

function read(data) {
  const found = [];
  let request = null;
  let closed = false;
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {});
  const begin = () => {
    if (request === null) request = {headers: [], target: '', body: []};
  };
  parser[HTTPParser.kOnHeaders | 0] = (headers, target) => {
    begin();
    if (request.method !== undefined) return;   // trailers
    request.headers.push(...headers);
    request.target += target;
  };
  parser[HTTPParser.kOnHeadersComplete | 0] = (
      major, minor, headers, method, target, status, reason, upgrade, keepAlive) => {
    begin();
    request.method = methods[method];
    request.target = target === undefined ? request.target : target;
    if (headers !== undefined) request.headers = headers;
    request.fields = request.headers.length;
    request.keepAlive = keepAlive;
    return 0;
  };
  parser[HTTPParser.kOnBody | 0] = (part) => { request.body.push(Buffer.from(part)); };
  parser[HTTPParser.kOnMessageComplete | 0] = () => {
    const headers = [];
    for (let i = 0; i < request.fields; i += 2) {
      headers.push([request.headers[i].toLowerCase(), request.headers[i + 1]]);
    }
    if (!closed) {
      found.push([request.method, request.target, headers,
                  Buffer.concat(request.body).toString('latin1')]);
    }
    closed = closed || !request.keepAlive;
    request = null;
  };
  const result = parser.execute(data);
  let end = 'waits';
  if (closed) end = 'closed';
  else if (result instanceof Error) end = `refused: ${result.code} ${result.reason}`;
  else if (result < data.length) end = 'closed';
  parser.close();
  return [found, end];
}

const lines = [];
for (const stream of JSON.parse(fs.readFileSync(process.argv[2], 'ascii'))) {
  lines.push(JSON.stringify(read(Buffer.from(stream, 'latin1'))));
}
process.stdout.write(lines.join('\n') + '\n');
