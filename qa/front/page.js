// A page that tries what its server's plan says, one step after the other, and reports what
// became of each: what it could read of the answer, or that the browser did not let it.
'use strict';

function read(status, header, text) {
  const headers = {};
  for (const name of ['X-Request-Id', 'Idempotency-Status', 'ETag', 'Server']) {
    headers[name] = header(name);
  }
  return {status: status, headers: headers, text: text};
}

// As the pages of 2008 did it, whose way the API's documentation shows.
function old(step) {
  return new Promise(function (resolve) {
    const request = new XMLHttpRequest();
    request.onreadystatechange = function () {
      if (request.readyState === 4) {
        resolve(request.status === 0 ? {refused: 'no status'} : read(
            request.status, name => request.getResponseHeader(name), request.responseText));
      }
    };
    request.open(step.method, step.url, true);
    request.send(step.body);
  });
}

async function modern(step) {
  const answer = await fetch(step.url, {
    method: step.method, headers: step.headers, body: step.body, mode: step.mode || 'cors',
    credentials: step.credentials || 'omit'});
  return read(answer.status, name => answer.headers.get(name), await answer.text());
}

// Has the browser ask for a name and a password, which stand in the URL, and remember them.
async function remember(step) {
  const other = window.open(step.url);
  const end = Date.now() + 10000;
  while (Date.now() < end) {
    await new Promise(resolve => setTimeout(resolve, 50));
    try {
      void other.location.href;
    } catch (error) {
      return {opened: true};            // it shows a page of another origin: the answer is there
    }
  }
  return {opened: false};
}

const WAYS = {old: old, modern: modern, remember: remember};

async function main() {
  const plan = await (await fetch('/plan')).json();
  const found = {};
  for (const step of plan.steps) {
    try {
      found[step.name] = await WAYS[step.how || 'modern'](step);
    } catch (error) {
      found[step.name] = {refused: String(error)};
    }
  }
  await fetch('/report', {method: 'POST', body: JSON.stringify(found)});
  if (plan.next) {
    location.href = plan.next;
  }
}

main();
