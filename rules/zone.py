"""The zone: time zones by their IANA names, from data that is installed with us.

Promise   A zone is the same on every machine: the system's own data, which differ, are not asked.
Not here  Who lives in which (the customer's profile). What a zone is for (restraint.py).
"""

from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

UTC: Final = "UTC"


@cache
def zone_names() -> frozenset[str]:
    """Every zone that there is."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of that name.

    Raises:
        KeyError: There is none.

    >>> zone("Europe/Rome").key
    'Europe/Rome'
    """
    if name not in zone_names():
        raise KeyError(name)
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)
