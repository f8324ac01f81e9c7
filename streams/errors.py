"""What can go wrong between the engine and the world."""

from pathlib import Path


class StreamsError(Exception):
    """The base of this package's errors: catch it to catch them all."""


class MissingError(StreamsError):
    """A file or folder that the call or the settings name is not there."""

    def __init__(self, path: Path, what: str = "file") -> None:
        super().__init__(f"{path}: there is no such {what}")
        self.path = path


class StoreError(StreamsError):
    """The base of the store's errors. By itself: Redis refused a command, and waiting will not help."""


class StoreDownError(StoreError):
    """Redis cannot take this now: gone, silent, loading, read-only, out of memory, disk full.

    What was sent may have been carried out or not. Ask again later with the same work: a commit
    finds out by reading.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"Redis is not available ({reason}): {detail}")
        self.reason = (
            reason  # a stable word for metrics: "connection", "timeout", "loading", "oom", …
        )
        self.detail = detail


class FencedError(StoreError):
    """Somebody else owns the shard now. Nothing of this commit was stored; nothing may be sent again."""

    def __init__(self, number: int, ours: str, found: str) -> None:
        super().__init__(f"shard {number} has another owner: the fence is {found}, ours was {ours}")
        self.number = number


class MismatchError(StoreError):
    """The fence has our token, but not what we wrote last: Redis lost writes, or somebody meddled.

    Nothing of this commit was stored. Claim the shard again and go on from what the fence says.
    """

    def __init__(self, number: int, ours: str, found: str) -> None:
        super().__init__(
            f"shard {number} is not as we left it: the fence is {found}, ours was {ours}"
        )
        self.number = number


class StaleError(StoreError):
    """A claim with an older generation than the owner's: its assignment is out of date."""

    def __init__(self, number: int, generation: int, stored: int) -> None:
        super().__init__(
            f"shard {number} was claimed in generation {stored}, this claim is of {generation}"
        )
        self.number = number
        self.generation = generation
        self.stored = stored


class DamagedError(StoreError):
    """A key of ours holds what we cannot have written, or one is missing. Nothing was changed."""

    def __init__(self, key: bytes, detail: str) -> None:
        super().__init__(f"the Redis key {key.decode(errors='backslashreplace')} {detail}")
        self.key = key


class UnsafeStoreError(StoreError):
    """Redis is set up so that it would lose state. All settings at fault, each with its mend."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LogFullError(StreamsError):
    """The embedded log holds as many records as it may. Nothing of this request was appended."""

    def __init__(self, number: int, length: int) -> None:
        super().__init__(f"the log of shard {number} is full: {length} records wait to be read")
        self.number = number


class GapError(StreamsError):
    """The log no longer holds what comes after the fence: events are lost, and the shard stops."""

    def __init__(self, number: int, position: str) -> None:
        super().__init__(
            f"the log of shard {number} has lost records after {position}, where the fence stands; "
            "accept the gap with --accept-gap to go on at the log's start"
        )
        self.number = number
        self.position = position


class ServerError(StreamsError):
    """The embedded redis-server cannot be started, or there is none."""


class LogDownError(StreamsError):
    """The log cannot take or tell this now. Ask again later; what was sent may be there twice."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"the log is not available ({reason}): {detail}")
        self.reason = reason  # a stable word for metrics: "delivery", "metadata"
        self.detail = detail


class TopicsError(StreamsError):
    """The topics are not as the engine needs them. All that is wrong, each with its mend."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
