"""Publishes with nats-py, the client that NoETL's server has, as fast as a busy NoETL: a numbered message every 5 ms.

Arguments: address and subject. No publish waits for the one before. Says "ready" when the first one has been acknowledged,
and at the end of its standard input one line of JSON: {"accepted": [body ...], "refused": ["body: reason" ...]}.
"""

import asyncio
import json
import sys

import nats

EVERY_SECONDS = 0.005
# As NoETL's server waits for an acknowledgement.
TIMEOUT_SECONDS = 5


async def main(address, subject):
    accepted, refused, under_way = [], [], set()
    connection = await nats.connect(f"nats://{address}")
    js = connection.jetstream()

    async def publish(body):
        try:
            await js.publish(subject, body.encode(), timeout=TIMEOUT_SECONDS)
            accepted.append(body)
        except Exception as error:
            refused.append(f"{body}: {error!r}")

    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    number = 0
    while not ended.done():
        number += 1
        task = asyncio.create_task(publish(f"py-{number}"))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        if number == 1:
            await task
            print("ready", flush=True)
        await asyncio.sleep(EVERY_SECONDS)
    await asyncio.gather(*under_way)
    await connection.close()
    print(json.dumps({"accepted": accepted, "refused": refused}), flush=True)


asyncio.run(main(*sys.argv[1:]))
