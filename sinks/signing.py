"""Signatures as Standard Webhooks defines them: HMAC-SHA256 over id, time and body.

Promise   Any Standard Webhooks library verifies what we send. While a secret is being replaced,
          both the old and the new one verify.
How       `webhook-signature` carries one `v1,<base64>` per secret, separated by spaces.
Source    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
Limits    Secrets of SECRET_BYTES_MIN to SECRET_BYTES_MAX bytes, SECRETS_MAX of them.
Not here  The asymmetric scheme v1a. Where secrets come from (streams/settings.py).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from sinks.errors import SecretError

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  what secrets begin with is none
SECRET_BYTES_MIN: Final = 24  # the specification's bounds
SECRET_BYTES_MAX: Final = 64
SECRETS_MAX: Final = 4  # old and new while rotating; more only lengthens each request


class Signer:
    """Signs with every one of its secrets. Its repr shows none of them."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Take `whsec_…` secrets, newest first.

        Raises:
            SecretError: One is not base64 or has a length out of bounds, or there are too many.
        """
        if len(secrets) > SECRETS_MAX:
            raise SecretError(f"{len(secrets)} secrets are more than {SECRETS_MAX}")
        self._keys = tuple(map(_key, secrets))

    def headers(self, message_id: str, now_ms: int, body: bytes) -> dict[str, str]:
        """The three headers of one attempt; the time is the attempt's, as receivers check its age."""
        seconds = str(now_ms // 1000)
        headers = {"webhook-id": message_id, "webhook-timestamp": seconds}
        if self._keys:
            signed = b"%b.%b.%b" % (message_id.encode(), seconds.encode(), body)
            headers["webhook-signature"] = " ".join(_signature(key, signed) for key in self._keys)
        return headers


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    bare = secret.removeprefix(SECRET_PREFIX)
    try:
        # Secrets are often handed around without the padding.
        key = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        # Not "from": the cause's traceback would show the secret.
        raise SecretError(f"a secret is not {SECRET_PREFIX} and base64") from None
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise SecretError(
            f"a secret holds {len(key)} bytes; {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} are allowed"
        )
    return key
