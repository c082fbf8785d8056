"""Runs NoETL's own client of NATS: connects a server's publisher and the subscribers of a worker, publishes, and waits.

Everything that is asked of NATS is asked by NoETL's modules, which PYTHONPATH names. Only its logger, which loads half of
NoETL, is another. Arguments: how many commands to publish; `server` or `worker` for one of the two alone, which uses its
buckets and object store, too, where the installation has that part of NoETL. The environment is that of NoETL's pods.
`publisher` publishes until it is ended, and prints `published` or `failed` for each.

Prints one line of JSON: {"published": [subject ...], "received": [[consumer, command_id] ...], "stored": [text ...]}; a worker alone
first prints `subscribed`.
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
# With one byte more it is the largest result that NoETL's bucket takes, and several parts of an object.
LARGE = b"x" * (1024 * 1024 - 1)


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


async def connected_publisher(published):
    # As the server makes it: with the server's settings, not the worker's.
    publisher = nats_client.NATSCommandPublisher(nats_url=settings.nats_url, subject=settings.nats_subject)
    await publisher.connect()
    publish = publisher._js.publish

    async def spy(subject, *args, **kwargs):
        published.append(subject)
        return await publish(subject, *args, **kwargs)

    publisher._js.publish = spy
    return publisher


async def subscribed(received):
    tasks = []
    connections = []
    for subscriber in subscribers():

        async def callback(data, name=subscriber.consumer_name):
            received.append([name, data["command_id"]])
            return "ack"

        await subscriber.connect()
        connections.append(subscriber._nc)
        tasks.append(asyncio.create_task(subscriber.subscribe(callback)))
        while subscriber._subscription is None:
            if tasks[-1].done():
                tasks[-1].result()
            await asyncio.sleep(0.02)
    return tasks, connections


def own_stores():
    """Whether this installation holds what NoETL keeps states and results with."""
    return os.path.exists(os.path.join(os.path.dirname(nats_client.__file__), "..", "storage", "backends.py"))


async def use_states():
    from noetl.core.cache.nats_kv import get_nats_cache

    cache = await get_nats_cache()
    assert await cache.set_loop_state("7", "step", {"collection_size": 2})
    assert await cache.claim_next_loop_index("7", "step", 2, 1) == 0
    assert await cache.increment_loop_completed("7", "step") == 1
    assert await cache.get_loop_completed_count("7", "step") == 1
    # It does not say so where it fails, and on a busy machine nats-py may list no key ("no keys found") where there are some.
    while await cache.get_loop_state("7", "step") is not None:
        await cache.delete_execution_state("7")
        await asyncio.sleep(0.02)
    return "states"


async def use_results():
    from noetl.core.storage.backends import NATSKVBackend, NATSObjectBackend

    for backend in (NATSKVBackend(), NATSObjectBackend()):
        key = f"{settings_role()}/result"
        await backend.put(key, LARGE)
        assert await backend.get(key) == LARGE
        # Takes the place of what is there.
        await backend.put(key, LARGE + b"y")
        assert await backend.get(key) == LARGE + b"y"
        # Of an object 2.8.9 never says that it exists: it asks its client for what that does not have.
        await backend.exists(key)
        assert await backend.delete(key)
    return "results"


def settings_role():
    return sys.argv[2] if len(sys.argv) > 2 else "both"


async def publish_on():
    publisher = await connected_publisher([])
    while True:
        try:
            await publisher.publish_command(7, 1, "command", "step", "http://127.0.0.1:9")
            print("published", flush=True)
        except Exception:  # pylint: disable=broad-except
            print("failed", flush=True)
        await asyncio.sleep(0.2)


async def main(count):
    published, received, stored = [], [], []
    role = settings_role()
    publisher = await connected_publisher(published) if role != "worker" else None
    tasks, connections = await subscribed(received) if role != "server" else ([], [])
    if role == "worker":
        print("subscribed", flush=True)
    if publisher:
        for number in range(count):
            # Nobody asks the server in the message for more.
            await publisher.publish_command(7, number, f"command-{number}", "step", "http://127.0.0.1:9")
    while tasks and len({command for _, command in received}) < count:
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.02)
    if role != "both" and own_stores():
        stored = [await use_results()] + ([await use_states()] if role == "server" else [])
    # Acknowledgements are sent after the callback.
    for subscriber_task in tasks:
        subscriber_task.cancel()
    for connection in connections + ([publisher._nc] if publisher else []):
        await connection.flush()
    print(json.dumps({"published": published, "received": received, "stored": stored}), flush=True)
    os._exit(0)


if settings_role() == "publisher":
    asyncio.run(publish_on())
asyncio.run(asyncio.wait_for(main(int(sys.argv[1])), DEADLINE_SECONDS))
