"""The answer: what a receiver's HTTP status and headers mean for the action.

Promise   Every status from 100 to 599 with any Retry-After has exactly one receipt, and no answer,
          however odd, raises or asks for a delay out of bounds.
How       2xx is delivered. 410, or the header `webhook-delivery: disable`, ends the endpoint. All
          else is tried again, also 3xx (never followed) and 4xx: a wrong secret or path gets mended.
          429, 502, 503, 504 and any Retry-After slow the endpoint down.
Source    Standard Webhooks, "Deliverability and reliability"; RFC 9110, 10.2.3 (Retry-After).
Limits    Delays of 0 to RETRY_AFTER_MS_MAX.
Not here  The schedule of attempts (retry.py).
"""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from sinks.sink import Delivered, Receipt, Rejected, RetryAfter

RETRY_AFTER_MS_MAX: Final = 86_400_000  # a day: the longest pause of the schedule itself
_SECONDS_DIGITS_MAX: Final = 9  # more digits are over the bound in any case, and int() has limits

STATUS_GONE: Final = 410
STATUSES_SLOW: Final = frozenset({429, 502, 503, 504})

_DIGITS = re.compile(r"[0-9]+")


def judge(status: int, headers: Mapping[str, str], now_ms: int, said: str = "") -> Receipt:
    """The receipt for an answer.

    Args:
        status: the HTTP status.
        headers: looked up as `Retry-After` and `webhook-delivery`; hand in a mapping that does not
            mind case.
        now_ms: when the answer came; a Retry-After date counts from it.
        said: the beginning of the answer's body, for whoever reads the receipt.
    """
    reason = f"HTTP {status}" + (f": {said}" if said else "")
    disables = headers.get("webhook-delivery", "").strip().lower() == "disable"
    if 200 <= status <= 299:  # noqa: PLR2004  HTTP's own bounds
        return Delivered(reason, disables)
    if disables or status == STATUS_GONE:
        return Rejected(reason, disables=True)
    delay_ms = retry_after_ms(headers.get("Retry-After"), now_ms)
    return RetryAfter(reason, delay_ms, slows=status in STATUSES_SLOW or delay_ms is not None)


def retry_after_ms(value: str | None, now_ms: int) -> int | None:
    """The delay that a Retry-After header asks for, cut to the bounds; None when it says nothing.

    >>> retry_after_ms("120", 0), retry_after_ms("Thu, 01 Jan 1970 00:01:00 GMT", 15_000)
    (120000, 45000)
    >>> retry_after_ms("soon", 0) is None, retry_after_ms("9" * 400, 0)
    (True, 86400000)
    """
    words = (value or "").strip()
    if not words.isascii():
        return None
    if _DIGITS.fullmatch(words):
        digits = words.lstrip("0") or "0"
        too_long = len(digits) > _SECONDS_DIGITS_MAX
        return RETRY_AFTER_MS_MAX if too_long else min(int(digits) * 1000, RETRY_AFTER_MS_MAX)
    try:
        at = parsedate_to_datetime(words)
        # HTTP dates are always GMT, also where the sender left that out.
        at_ms = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(at_ms - now_ms, 0), RETRY_AFTER_MS_MAX)
