"""The checkpoint: how many rows of which source a back-fill has made durable in which log.

Promise   It never says more than is durable, and after a crash it is either the old or the new one.
How       Written beside itself, synced, and renamed over the old one.
Limits    One file for each source and destination; two back-fills of the same at once are not kept
          apart.
Not here  When it is written: backfill.py. What the demo keeps, in the same way: demo.py.
"""

import hashlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from streams.errors import StreamsError

Kept = TypeVar("Kept", bound=msgspec.Struct)


class CheckpointError(StreamsError):
    """A checkpoint that cannot be used, and what to do."""


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is durable."""

    source: str  # for people
    destination: str
    fingerprint: str
    rows: int = 0  # of the source, whether good or bad
    sent: int = 0
    bad: int = 0
    finished: bool = False
    customer_id: str = ""  # the first customer who was sent: by whom the destination is known again


def checkpoint_file(folder: Path, source: str, destination: str) -> Path:
    """Where the checkpoint of this pair is kept.

    >>> checkpoint_file(Path("data"), "/in/orders.sql", "http://shop:8787").name
    'ingest-orders-6d1b2cfb0218.json'
    """
    digest = hashlib.sha256(f"{source}\n{destination}".encode()).hexdigest()
    return folder / f"ingest-{Path(source).stem[:40]}-{digest[:12]}.json"


def load(file: Path) -> Checkpoint | None:
    """The checkpoint, or None where there is none. Raises as `read` does."""
    return read(file, Checkpoint)


def read(file: Path, kind: type[Kept]) -> Kept | None:
    """What `save` has kept, or None where there is nothing.

    Raises:
        CheckpointError: The file is there and cannot be understood.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise CheckpointError(
            f"{file}: is no checkpoint ({error}); delete it to begin at the first row"
        ) from error


def save(file: Path, checkpoint: msgspec.Struct) -> None:
    """Replace the checkpoint.

    Raises:
        CheckpointError: It cannot be written.
    """
    beside = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as stream:
            stream.write(msgspec.json.encode(checkpoint))
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(file)
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be written: {error}") from error
