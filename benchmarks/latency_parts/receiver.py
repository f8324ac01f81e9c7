"""The receiver: takes webhooks, and looks at the clock when a body is there.

Run       python benchmarks/latency_parts/receiver.py PORT FILE
Writes    [cause, arrived ns, whether it had a signature] for each request.
"""

import asyncio
import gc
import signal
import sys
import time
from pathlib import Path

import orjson
from aiohttp import web

from benchmarks.latency_parts.ending import write


async def main(port: int, file: Path) -> None:
    gc.disable()  # it would stop to look at all that was noted
    seen: list[tuple[str, int, bool]] = []

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        now_ns = time.monotonic_ns()
        action = orjson.loads(body)["data"]
        seen.append((action["cause"], now_ns, "webhook-signature" in request.headers))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()
    write(file, seen)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
