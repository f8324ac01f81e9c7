"""A commit for shards of tests that store in one go."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Does nothing when it is begun, and all of it when it is finished."""

    store: Callable[[], None]
    are_letters_there: Callable[[], bool] = lambda: True

    def prepare(self) -> bool:
        return self.are_letters_there()

    def begin(self) -> None:
        """Nothing yet."""

    def finish(self) -> None:
        self.store()

    def __call__(self) -> None:
        self.store()
