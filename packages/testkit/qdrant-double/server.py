"""
Starts the test double of a Qdrant server and prints its address as one line of JSON.

It reads the same environment variables as a Qdrant server; an option given on the command line wins.
"""

import argparse
import asyncio
import json
import os
import signal
from pathlib import Path

from aiohttp import web

from qdrant_double import TITLE, VERSION
from qdrant_double.app import build
from qdrant_double.collection import write_json
from qdrant_double.faults import Faults
from qdrant_double.storage import Storage


#: In the storage: where each peer answers, in order.
ADDRESSES = "addresses.json"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=os.environ.get("QDRANT__SERVICE__HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("QDRANT__SERVICE__HTTP_PORT", "0")), help="0: a free one")
    parser.add_argument("--storage", type=Path, default=os.environ.get("QDRANT__STORAGE__STORAGE_PATH"))
    parser.add_argument("--peers", type=int, default=1, help="peers of one cluster, each at a port of its own; the first at --port")
    parser.add_argument("--version", action="version", version=f"{TITLE} {VERSION}")
    parsed = parser.parse_args()
    if parsed.storage is None:
        parser.error("--storage is missing")
    return parsed


async def serve(host: str, port: int, storage: Path, peers: int) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    # Only in the environment: a command line can be read by every user of the machine.
    key = os.environ.get("QDRANT__SERVICE__API_KEY", "")
    numbers = list(range(1, peers + 1))
    kept, faults = Storage.open(storage, numbers), Faults()
    runners: list[web.AppRunner] = []
    urls: list[str] = []
    # The first one last: whoever finds it ready finds the others, and where they are, too.
    for number in reversed(numbers):
        # A client that goes away frees the shard that its stream holds.
        runner = web.AppRunner(build(kept, faults, number, key), handler_cancellation=True, access_log=None, shutdown_timeout=1)
        await runner.setup()
        if number == 1 and port != 0:
            write_json(storage / ADDRESSES, [f"http://{host}:{port}", *urls])
        await web.TCPSite(runner, host, port if number == 1 else 0).start()
        runners.insert(0, runner)
        address = runner.addresses[0]
        urls.insert(0, f"http://{address[0]}:{address[1]}")
    write_json(storage / ADDRESSES, urls)
    bound = runners[0].addresses[0]
    print(json.dumps({"double": True, "title": TITLE, "version": VERSION, "host": bound[0], "port": bound[1], "url": urls[0], "peers": urls}), flush=True)
    await stop.wait()
    for runner in runners:
        await runner.cleanup()
    kept.close()


if __name__ == "__main__":
    given = options()
    asyncio.run(serve(given.host, given.port, given.storage, given.peers))
