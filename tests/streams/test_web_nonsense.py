"""What is no HTTP, said to the gateway: refused, and no line in the log."""

import asyncio
import logging

import pytest

from streams.web import application, serve
from tests.streams.web_fakes import LOOPBACK, World

MALFORMED = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "two lengths": b"POST /v1/events HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello",
    "both lengths": (
        b"POST /v1/events HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a huge header": b"GET /livez HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    "a bad header": b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED)
async def test_who_talks_nonsense_is_refused_and_does_not_fill_the_log(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """One line of nonsense used to write thirty lines of trace, as an error of ours."""
    caplog.set_level(logging.INFO)
    runner, address = await serve(application(World().ports(), LOOPBACK, None), LOOPBACK)
    try:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(said)
        async with asyncio.timeout(10):
            assert (await reader.readline()).split()[1] == b"400"
        writer.close()
    finally:
        await runner.cleanup()

    assert not caplog.records
