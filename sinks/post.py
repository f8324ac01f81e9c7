"""One HTTP POST to somebody else's machine, with every bound that this needs.

Promise   Ends within its timeout, reads at most ANSWER_BYTES_MAX, follows no redirect, sends no
          cookie, unpacks nothing, and answers with a receipt whatever happens. No receipt shows the
          address: it may hold a token.
How       aiohttp; `open_session` sets what belongs to the session. Two sessions, one whose sockets
          may reach private addresses and one whose may not, serve all endpoints.
Limits    A 2xx whose body breaks off or never ends in time counts as not delivered: asking again
          is harmless, because the id is the same. One that is merely long counts as delivered.
Not here  What an answer means (answer.py), addresses (guard.py).
"""

from collections.abc import Callable, Mapping
from typing import Final

import aiohttp

from sinks.answer import judge
from sinks.guard import guarded_socket
from sinks.sink import Receipt, Rejected, RetryAfter

ANSWER_BYTES_MAX: Final = 16 * 1024  # enough to keep the connection for the next one
SAID_CHARS_MAX: Final = 200  # of the answer, kept in the record
TIMEOUT_MS: Final = 10_000
KEEP_ALIVE_SECONDS: Final = 60.0  # a warm connection saves a round trip or, with TLS, three
NAMES_KEPT_SECONDS: Final = 10  # a moved receiver is found again soon


def open_session(*, allow_private: bool) -> aiohttp.ClientSession:
    """A session for `post`; call it inside the running loop, and close it."""
    connector = aiohttp.TCPConnector(
        limit=0,  # the relay bounds each endpoint; a common bound would let one starve the others
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        ttl_dns_cache=NAMES_KEPT_SECONDS,
        socket_factory=guarded_socket(allow_private=allow_private),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # 16 KB of zeros unpack to 16 MB
        trust_env=False,  # a proxy would connect where our guard cannot see
        headers={"User-Agent": "Rapport", "Accept": "*/*"},
    )


async def post(
    session: aiohttp.ClientSession,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    timeout_ms: int,
    now_ms: Callable[[], int],
    judged: Callable[[int, Mapping[str, str], int, str], Receipt] = judge,
) -> Receipt:
    """Post once; `now_ms` is asked when the answer is there, and `judged` what it means."""
    try:
        async with session.post(
            url,
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_ms / 1000),
        ) as response:
            said = await _beginning(response)
            return judged(response.status, response.headers, now_ms(), said)
    except TimeoutError:
        return RetryAfter(f"no answer within {timeout_ms} ms")
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
        return Rejected("the address in the settings cannot be used")
    except aiohttp.ClientResponseError as error:  # its own words name the address
        return RetryAfter(f"{type(error).__name__}: {_clean(error.message)}")
    except aiohttp.ClientConnectorError as error:
        # Also a forbidden address: names come to mean other addresses, and settings get mended.
        return RetryAfter(f"no connection: {_clean(str(error.os_error))}")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # ValueError: aiohttp raises it for some malformed answers, and for some addresses.
        said = "" if _shows(url, str(error)) else f": {_clean(str(error))}"
        return RetryAfter(f"{type(error).__name__}{said}")


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """Read the answer to its end when it is short, so that the connection can be used again."""
    parts: list[bytes] = []
    left = ANSWER_BYTES_MAX
    async for part in response.content.iter_any():
        parts.append(part)
        left -= len(part)
        if left < 0:
            response.close()
            break
    if not parts:
        return ""
    return _clean(b"".join(parts)[: 4 * SAID_CHARS_MAX].decode(errors="replace"))


def _shows(url: str, words: str) -> bool:
    """Whether the words hold the address, or what of it may be secret: all behind the host."""
    path = url.partition("//")[2].partition("/")[2]
    return url in words or bool(path and path in words)


def _clean(words: str) -> str:
    """One line that does no harm to a terminal."""
    return "".join(c if c.isprintable() else " " for c in words[:SAID_CHARS_MAX]).strip()
