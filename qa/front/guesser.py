#!/usr/bin/env python3
"""A client that guesses passwords at a steady rate, from many addresses.

    guesser.py PORT RATE ADDRESS ...

Every second guess is for the user ``admin``, the others for users that do not exist. Continues
until standard input ends, then prints a JSON object: the number of answers by status, and the
guesses a second.
"""

import asyncio
import base64
import collections
import itertools
import json
import sys
import time


async def guess(port, address, pause, counts, numbers):
    """Guess from one address, on one connection as long as the server keeps it."""
    reader = writer = None
    due = time.monotonic()
    while True:
        due += pause
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, local_addr=(address, 0)
                )
            number = next(numbers)
            name = "admin" if number % 2 else f"nobody{number}"
            token = base64.b64encode(f"{name}:guess-{number}".encode()).decode()
            writer.write(
                f"GET /2/info HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Basic {token}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(None, 1)[0]
            await reader.readexactly(int(length))
            counts[head[9:12].decode()] += 1
        except (OSError, asyncio.IncompleteReadError) as err:
            counts[type(err).__name__] += 1
            writer = None


async def main():
    port, rate, *addresses = sys.argv[1:]
    counts, numbers = collections.Counter(), itertools.count()
    begin = time.monotonic()
    tasks = [
        asyncio.create_task(
            guess(int(port), address, len(addresses) / float(rate), counts, numbers)
        )
        for address in addresses
    ]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    json.dump(
        {"statuses": counts, "rate": sum(counts.values()) / (time.monotonic() - begin)}, sys.stdout
    )


if __name__ == "__main__":
    asyncio.run(main())
