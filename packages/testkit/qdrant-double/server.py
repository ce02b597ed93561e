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


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=os.environ.get("QDRANT__SERVICE__HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("QDRANT__SERVICE__HTTP_PORT", "0")), help="0: a free one")
    parser.add_argument("--storage", type=Path, default=os.environ.get("QDRANT__STORAGE__STORAGE_PATH"))
    parser.add_argument("--version", action="version", version=f"{TITLE} {VERSION}")
    parsed = parser.parse_args()
    if parsed.storage is None:
        parser.error("--storage is missing")
    return parsed


async def serve(host: str, port: int, storage: Path) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    # Only in the environment: a command line can be read by every user of the machine.
    app = build(storage, os.environ.get("QDRANT__SERVICE__API_KEY", ""))
    # A client that goes away frees the shard that its stream holds.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    bound = runner.addresses[0]
    print(json.dumps({"double": True, "title": TITLE, "version": VERSION, "host": bound[0], "port": bound[1], "url": f"http://{bound[0]}:{bound[1]}"}), flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    given = options()
    asyncio.run(serve(given.host, given.port, given.storage))
