"""What a crash leaves at the end of Redis 6's append-only file, and how to be rid of it.

Promise   After `mend`, a second start of Redis has the same data as this one.
How       Redis 6 logs our commit as MULTI, MSET, EXEC; Redis 7 logs the MSET alone. Cut inside EXEC,
          the file keeps MULTI and MSET: this start ignores them, and goes on writing behind them. The
          next start takes the next EXEC of anybody for theirs, and so carries out a commit that was
          never acknowledged, below newer ones. A rewritten file has no such end.
Limits    Redis before 7 only, once after each start of it, and before the first commit since. The
          rewrite costs it about a second a gigabyte, in the background.
Not here  Which settings are safe: safety.py.
"""

from typing import Final

from streams.errors import StoreDownError, StoreError
from streams.store import Connection, information

SAFE_SINCE: Final = 7  # the major version that logs a transaction of one write as that write


def mend(connection: Connection) -> None:
    """Return when the append-only file has no torn end.

    Raises:
        StoreDownError: It is being rewritten; ask again.
        StoreError: Redis refuses to rewrite it.
    """
    found = information(connection, "server", "persistence")
    if int(found["redis_version"].partition(".")[0]) >= SAFE_SINCE or found["aof_enabled"] == "0":
        return
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
