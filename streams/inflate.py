"""Inflate: gzip bodies, without believing what they say about their size.

Promise   Never makes more than `bytes_max` bytes, whatever came in: a bomb costs what it may cost, not
          what it says.
How       zlib is asked for one byte more than allowed, and never for more.
Limits    MEMBERS_MAX gzip members a body: each costs a window of 32 KB, however empty it is.
Not here  The limit itself (ingest.py).
"""

import zlib
from typing import Final

from streams.errors import StreamsError

GZIP_MAGIC: Final = b"\x1f\x8b"  # no JSON begins so
MEMBERS_MAX: Final = 16  # gzip allows a body to be several; `cat a.gz b.gz` makes two

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class InflateError(StreamsError):
    """The body cannot be inflated."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason  # "too_large" or "malformed"


def inflate(body: bytes, bytes_max: int) -> bytes:
    """Inflate a gzip body.

    Raises:
        InflateError: It is damaged or cut off, or would have more than `bytes_max` bytes.

    >>> import gzip
    >>> inflate(gzip.compress(b"[]"), bytes_max=2)
    b'[]'
    """
    parts: list[bytes] = []
    room = bytes_max
    for _ in range(MEMBERS_MAX):
        stream = zlib.decompressobj(_GZIP_WINDOW)
        try:
            part = stream.decompress(body, room + 1)
        except zlib.error as error:
            raise InflateError("malformed", f"the body is not gzip: {error}") from error
        if len(part) > room:
            detail = f"the body has more than {bytes_max} bytes when inflated"
            raise InflateError("too_large", detail)
        if not stream.eof:
            raise InflateError("malformed", "the gzip body is cut off")
        parts.append(part)
        room -= len(part)
        body = stream.unused_data.lstrip(b"\0")  # tools may pad members with zeros
        if not body:
            return b"".join(parts)
    raise InflateError("malformed", f"the gzip body has more than {MEMBERS_MAX} members")
