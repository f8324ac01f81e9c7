"""Safety: whether a Redis is set up such that it keeps what it is given.

Promise   A Redis that would lose state is refused at start, with every setting at fault, what it
          endangers, and what mends it. What was allowed all the same is told in the log.
How       INFO, which also managed services answer.
Limits    Looked at once, at start.
Not here  What a crash leaves behind: torn_tail.py. Allowing: dangers.py.
"""

from collections.abc import Collection

from streams.dangers import EVICTION, NO_AOF, Danger, refused, warn
from streams.errors import UnsafeStoreError
from streams.redis_executable import VERSION_MIN
from streams.store import Connection, information


def check(connection: Connection, *, log_inside: bool, allowed: Collection[str] = ()) -> None:
    """Return when this Redis may be used.

    Args:
        connection: to it.
        log_inside: whether it also holds the log, so that nothing could be read again.
        allowed: names of dangers (dangers.py).

    Raises:
        UnsafeStoreError: It may not.
        StoreDownError: It cannot be asked now.
    """
    found = dangers(
        information(connection, "server", "memory", "persistence", "cluster"), log_inside=log_inside
    )
    problems = refused(found, allowed)
    if problems:
        raise UnsafeStoreError(tuple(problems))
    warn(found, allowed)


def dangers(info: dict[str, str], *, log_inside: bool) -> list[Danger]:
    """What is wrong.

    >>> info = {"redis_version": "7.0.15", "maxmemory_policy": "allkeys-lru"}
    >>> dangers(info, log_inside=False)[0].detail.partition(":")[0]
    'maxmemory-policy is allkeys-lru'
    """
    found = []
    major, minor = (int(part) for part in info["redis_version"].split(".")[:2])
    if (major, minor) < VERSION_MIN:
        wanted = ".".join(map(str, VERSION_MIN))
        sentence = (
            f"redis_version is {info['redis_version']}: it lacks commands that we need. "
            f"Install Redis {wanted} or newer."
        )
        found.append(Danger("", sentence))
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        sentence = (
            f"maxmemory-policy is {policy}: Redis would delete profiles and fences when memory runs "
            "out, and events would be counted twice. Set it to noeviction."
        )
        found.append(Danger(EVICTION, sentence))
    if info.get("aof_enabled", "1") != "1":
        sentence = (
            "appendonly is no: the log lives in this Redis, and events that were accepted would be "
            "gone after a crash. Set appendonly to yes."
            if log_inside
            else "appendonly is no: after a restart Redis would have no profiles, and Kafka only gives "
            "back what it still keeps; all that is older would be gone. Set appendonly to yes."
        )
        found.append(Danger(NO_AOF, sentence))
    if info.get("cluster_enabled", "0") == "1":
        sentence = (
            "cluster-enabled is yes: redirections between nodes are not followed. "
            "Use a Redis that is not a cluster, or a proxy that hides it and lets WATCH through."
        )
        found.append(Danger("", sentence))
    return found
