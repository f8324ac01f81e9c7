"""What a crash leaves at the end of Redis' append-only file, and how to be rid of it.

Promise   After `mend`, the next start of Redis has the same data as this one, and what is written
          from now on.
How       A transaction that the crash has cut stays open in the file: this start ignores it, and goes
          on writing behind it. The next start takes all of that for its part. If nobody ends it, all
          is dropped; the next EXEC, of anybody, carries all of it out.
          Redis 7 and newer log our commit as a bare MSET, so only a script of the relay can be cut,
          any part of which is a good state (receipts.py): a transaction of ours ends it. Redis 6 logs
          MULTI, MSET, EXEC: a commit that was never acknowledged would come back below newer ones, so
          the file is rewritten, once after each start of Redis.
Limits    A rewrite takes about a second a gigabyte, in the background; commits wait for it.
Not here  Which settings are safe: safety.py.
"""

from typing import Final

from streams.errors import StoreDownError, StoreError
from streams.store import Command, Connection, checked, information

SAFE_SINCE: Final = 7  # the major version that logs a transaction of one write as that write


def mend(connection: Connection) -> None:
    """Return when nothing is open at the end of the file. Before the first write of a connection.

    Raises:
        StoreDownError: It is being rewritten, or Redis cannot do it now; ask again.
        StoreError: Redis refuses.
    """
    found = information(connection, "server", "persistence")
    if int(found["redis_version"].partition(".")[0]) >= SAFE_SINCE:
        _end_transaction(connection)
    elif found["aof_enabled"] == "1":
        _rewrite(connection, found)


def _end_transaction(connection: Connection) -> None:
    """Two writes: a single one would be logged without its EXEC."""
    commands: list[Command] = [("MULTI",)]
    commands += [("SET", name, 1) for name in ("rapport:mended", "rapport:mended:again")]
    for reply in connection.ask([*commands, ("EXEC",)]):
        checked(reply)


def _rewrite(connection: Connection, found: dict[str, str]) -> None:
    is_under_way = found["aof_rewrite_in_progress"] == "1" or found["aof_rewrite_scheduled"] == "1"
    if not is_under_way and found["aof_last_rewrite_time_sec"] != "-1":
        return  # it was rewritten since this start
    if not is_under_way:
        try:
            connection.call("BGREWRITEAOF")
        except StoreDownError:
            raise
        except StoreError as error:
            raise StoreError(
                f"Redis {found['redis_version']} must be allowed to rewrite its append-only file "
                f"(BGREWRITEAOF) after a start; Redis 7 needs no such thing. {error}"
            ) from error
    raise StoreDownError("rewriting", "Redis 6 rewrites its append-only file after a start")
