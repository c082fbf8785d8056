"""Runs NoETL's own client of NATS: connects a server's publisher and the subscribers of a worker, publishes, and waits.

Everything that is asked of NATS is asked by NoETL's modules, which PYTHONPATH names. Only its logger, which loads half of
NoETL, is another. Arguments: how many commands to publish. The environment is that of NoETL's pods.

Prints one line of JSON: {"published": [subject ...], "received": [[consumer, command_id] ...]}.
"""

import asyncio
import json
import logging
import os
import sys
import types

logger = types.ModuleType("noetl.core.logger")
logger.setup_logger = lambda name, **_: logging.getLogger(name)
sys.modules["noetl.core.logger"] = logger

from noetl.core.config import get_worker_settings, settings  # noqa: E402
from noetl.core.messaging import nats_client  # noqa: E402

DEADLINE_SECONDS = 30


def subscribers():
    """As the worker of the release makes them: one since 2.8, one for each pool segment since 4.8."""
    worker = get_worker_settings()
    if not os.path.exists(os.path.join(os.path.dirname(nats_client.__file__), "..", "runtime", "pool_routing.py")):
        return [nats_client.NATSCommandSubscriber()]
    found = []
    for segment in os.getenv("NOETL_WORKER_POOL_SEGMENTS", "legacy,shared,python").split(","):
        legacy = segment == "legacy"
        found.append(
            nats_client.NATSCommandSubscriber(
                consumer_name=worker.nats_consumer if legacy else f"{worker.nats_consumer}_{segment}",
                filter_subject=None if legacy else f"{worker.nats_subject}.{segment}.>",
            )
        )
    return found


async def main(count):
    received = []
    # As the server makes it: with the server's settings, not the worker's.
    publisher = nats_client.NATSCommandPublisher(nats_url=settings.nats_url, subject=settings.nats_subject)
    await publisher.connect()
    published = []
    publish = publisher._js.publish

    async def spy(subject, *args, **kwargs):
        published.append(subject)
        return await publish(subject, *args, **kwargs)

    publisher._js.publish = spy
    tasks = []
    for subscriber in subscribers():

        async def callback(data, name=subscriber.consumer_name):
            received.append([name, data["command_id"]])
            return "ack"

        await subscriber.connect()
        tasks.append(asyncio.create_task(subscriber.subscribe(callback)))
        while subscriber._subscription is None:
            if tasks[-1].done():
                tasks[-1].result()
            await asyncio.sleep(0.02)
    for number in range(count):
        # Nobody asks the server in the message for more.
        await publisher.publish_command(7, number, f"command-{number}", "step", "http://127.0.0.1:9")
    while len({command for _, command in received}) < count:
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.02)
    # Acknowledgements are sent after the callback.
    for subscriber_task in tasks:
        subscriber_task.cancel()
    await publisher._nc.flush()
    print(json.dumps({"published": published, "received": received}), flush=True)
    os._exit(0)


asyncio.run(asyncio.wait_for(main(int(sys.argv[1])), DEADLINE_SECONDS))
