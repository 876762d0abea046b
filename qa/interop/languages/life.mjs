// An instance's life with fetch, as a program on Node has it: no library, TLS verified
// (NODE_EXTRA_CA_CERTS), credentials sent unasked.
import assert from "node:assert/strict";

const { RAPI_URL, RAPI_USER, RAPI_PASSWORD, RAPI_OS } = process.env;
const basic = "Basic " + Buffer.from(`${RAPI_USER}:${RAPI_PASSWORD}`).toString("base64");

async function ask(method, path, body, authorization = basic) {
  const answer = await fetch(RAPI_URL + path, {
    method,
    headers: { authorization, "content-type": "application/json; charset=utf-8" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  assert.match(answer.headers.get("content-type"), /^application\/json/);
  return [answer.status, await answer.json()];
}

async function follow([status, id]) {
  assert.equal(status, 200);
  assert.equal(typeof id, "number");
  for (;;) {
    const [, job] = await ask("GET", `/2/jobs/${id}`);
    if (["success", "error", "canceled"].includes(job.status)) return job;
    await new Promise((done) => setTimeout(done, 50));
  }
}

const NAME = "node-js.example.com";
const body = { __version__: 1, mode: "create", name: NAME, os_type: RAPI_OS,
               disk_template: "file", disks: [{ size: "1G" }], nics: [{}],
               pnode: "node1.example.com" };
assert.equal((await follow(await ask("POST", "/2/instances", body))).status, "success");
assert.deepEqual((await follow(await ask("POST", "/2/instances", body))).opresult[0][1][1],
                 "already_exists");
// Many at once over kept connections.
const all = await Promise.all(Array.from({ length: 50 }, () => ask("GET", `/2/instances/${NAME}`)));
assert.deepEqual(all.filter(([status, found]) => status !== 200 || found.status !== "running"), []);
assert.equal((await follow(await ask("PUT", `/2/instances/${NAME}/shutdown`, {}))).status, "success");
assert.equal((await ask("GET", `/2/instances/${NAME}`))[1].status, "ADMIN_down");
assert.equal((await follow(await ask("DELETE", `/2/instances/${NAME}`))).status, "success");
assert.equal((await ask("GET", `/2/instances/${NAME}`))[0], 404);
const [status, error] = await ask("PUT", "/2/tags?tag=x", undefined, "Basic eDp5");
assert.deepEqual([status, error.code], [401, 401]);
console.log("a whole life");
