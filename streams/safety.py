"""Safety: whether a Redis is set up such that it keeps what it is given.

Promise   A Redis that would lose state is refused at start, with every setting at fault, what it
          endangers, and what mends it.
How       INFO, which also managed services answer.
Limits    Looked at once, at start.
Not here  What a crash leaves behind: torn_tail.py.
"""

from streams.errors import UnsafeStoreError
from streams.redis_executable import VERSION_MIN
from streams.store import Connection, information


def check(connection: Connection, *, log_inside: bool) -> None:
    """Return when this Redis may be used.

    Args:
        connection: to it.
        log_inside: whether it also holds the log, so that nothing could be read again.

    Raises:
        UnsafeStoreError: It may not.
        StoreDownError: It cannot be asked now.
    """
    found = problems(
        information(connection, "server", "memory", "persistence", "cluster"), log_inside=log_inside
    )
    if found:
        raise UnsafeStoreError(tuple(found))


def problems(info: dict[str, str], *, log_inside: bool) -> list[str]:
    """What is wrong, a sentence each.

    >>> info = {"redis_version": "7.0.15", "maxmemory_policy": "allkeys-lru"}
    >>> problems(info, log_inside=False)[0].partition(":")[0]
    'maxmemory-policy is allkeys-lru'
    """
    found = []
    major, minor = (int(part) for part in info["redis_version"].split(".")[:2])
    if (major, minor) < VERSION_MIN:
        wanted = ".".join(map(str, VERSION_MIN))
        found.append(
            f"redis_version is {info['redis_version']}: it lacks commands that we need. "
            f"Install Redis {wanted} or newer."
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        found.append(
            f"maxmemory-policy is {policy}: Redis would delete profiles and fences when memory runs "
            "out, and events would be counted twice. Set it to noeviction."
        )
    if log_inside and info.get("aof_enabled", "1") != "1":
        found.append(
            "appendonly is no: the log lives in this Redis, and events that were accepted would be "
            "gone after a crash. Set appendonly to yes."
        )
    if info.get("cluster_enabled", "0") == "1":
        found.append(
            "cluster-enabled is yes: redirections between nodes are not followed. "
            "Use a Redis that is not a cluster, or a proxy that hides it and lets WATCH through."
        )
    return found
