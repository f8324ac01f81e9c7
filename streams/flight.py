"""The flight: a batch that is folded, with its commit under way.

Promise   A commit that was begun is settled once: by reading its reply, or by committing it again.
How       While Redis carries one shard's commit out, the thread folds for another. Where dead letters
          are to be durable before, the flight waits for them, and the thread for nobody.
Limits    One a shard.
Not here  When a flight is to land (data_plane.py). What beginning and finishing do (shard.py).
"""

from dataclasses import dataclass

from streams.errors import LogDownError, StoreDownError
from streams.ownership import Commit
from streams.patience import Trouble


@dataclass(slots=True)
class Flight:
    """One batch of one shard between its step and the end of its commit."""

    commit: Commit
    positions: dict[str, int]  # after the batch
    records_count: int
    spent_ms: int = 0  # in its step and its commit, and not in those of other shards
    is_begun: bool = False
    is_waiting: bool = False  # for what must be durable before the commit; `begin` again

    def begin(self, trouble: Trouble) -> None:
        """Send the commit; where that cannot be done now, `settle` does it.

        Raises:
            StoreError: It never can.
        """
        try:
            self.is_waiting = not self.commit.prepare()
            if self.is_waiting:
                return
            self.commit.begin()
        except (StoreDownError, LogDownError) as error:
            trouble(error)
            self.is_waiting = False
        else:
            self.is_begun = True

    def settle(self) -> None:
        """Wait for the reply, or commit again. Raises as a commit does; after StoreDownError call again."""
        if self.is_begun:
            self.is_begun = False  # whatever comes of it: the next try asks what was stored
            self.commit.finish()
        else:
            self.commit()
