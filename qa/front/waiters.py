#!/usr/bin/env python3
"""Many clients that wait for jobs, in one process.

    waiters.py PORT plain|tls PATH COUNT

COUNT clients request PATH (in which ``%d`` is the client's number) at the same time. Prints a line
``all`` once each has sent its request, and when all are answered or standard input ends, a JSON
list of ``[status, text, time]``: the last part of the body, and when it came (``time.monotonic``).
A missing answer is ``[0, why, time]``.
"""

import asyncio
import base64
import contextlib
import json
import ssl
import sys
import time

_TOKEN = base64.b64encode(b"admin:secret").decode()
#: Handshakes at the same time: the server does a few at a time as well.
AT_ONCE = 50


async def ask(port, context, path, limit, sent):
    """Send a request, and return the status, the end of the body, and the time."""
    try:
        async with limit:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                f"Authorization: Basic {_TOKEN}\r\n\r\n".encode()
            )
            await writer.drain()
        sent()
        data = await reader.read()
        moment = time.monotonic()
        writer.close()
        return [int(data.split(None, 2)[1]), data[-60:].decode(), moment]
    except (OSError, IndexError, ValueError) as err:
        return [0, type(err).__name__, time.monotonic()]


async def main():
    port, tls, path, count = sys.argv[1:]
    context = ssl._create_unverified_context() if tls == "tls" else None
    left = int(count)

    def sent():
        nonlocal left
        left -= 1
        if not left:
            print("all", flush=True)

    limit = asyncio.Semaphore(AT_ONCE)
    tasks = [
        asyncio.create_task(ask(int(port), context, path.replace("%d", str(number)), limit, sent))
        for number in range(int(count))
    ]
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_reader(sys.stdin, lambda: stop.done() or stop.set_result(None))
    everything = asyncio.gather(*tasks)
    await asyncio.wait([everything, stop], return_when=asyncio.FIRST_COMPLETED)
    if everything.done():
        print(json.dumps(everything.result()))
    else:
        everything.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await everything
        print("[]", end="")


if __name__ == "__main__":
    asyncio.run(main())
