"""Chance: which faults a world has, how often, and when. All of it follows from the seed.

How       Each seed switches on some of the faults and draws a rate for each of them, because a fault
          that is everywhere hides what another one alone would show.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final

# The highest rate of each; of what happens at a call: a share of the calls, else: a count.
AT_A_CALL: Final = {
    "crash": 0.02,  # the process dies
    "lost request": 0.06,  # never arrives, the connection breaks
    "lost reply": 0.08,  # is carried out, the connection breaks
    "late": 0.05,  # is given up, and carried out later
    "cut": 0.04,  # only its first commands arrive
    "meanwhile": 0.30,  # another process does something before the reply comes
}
AT_A_DELIVERY: Final = {
    "crash": 0.03,  # before the receiver has it, or after
    "refused": 0.40,
    "taken, not said": 0.20,  # the receiver has it, and the answer is lost
    "hangs": 0.05,
    "slow down": 0.10,
}
IN_A_LIFE: Final = {
    "takeover": 8,  # another process owns a shard, and the former one is not told at once
    "redis restart": 3,
    "redis rollback": 3,  # to an earlier state
    "redis refuses": 2,  # for a while: loading, full, read-only
    "clock jump": 3,
    "reload": 3,  # other rules and so another layout of rows
}
IN_THE_LOG: Final = {"duplicate": 0.15, "poison": 0.08}


@dataclass(slots=True)
class Chance:
    """Draws, and counts what it has drawn."""

    random: Random
    call: dict[str, float]
    delivery: dict[str, float]
    life: dict[str, int]
    log: dict[str, float]
    counts: Counter[str]
    is_calm: bool = False  # from then on, nothing goes wrong any more

    @classmethod
    def of(cls, seed: int) -> "Chance":
        random = Random(seed)

        def rates(most: dict[str, float]) -> dict[str, float]:
            return {
                name: highest * random.random()
                for name, highest in most.items()
                if random.random() < 0.6
            }

        return cls(
            random,
            rates(AT_A_CALL),
            rates(AT_A_DELIVERY),
            {
                name: random.randint(1, most)
                for name, most in IN_A_LIFE.items()
                if random.random() < 0.6
            },
            rates(IN_THE_LOG),
            Counter(),
        )

    def at(self, rates: dict[str, float]) -> str | None:
        """The fault that happens now, if one does."""
        if self.is_calm:
            return None
        left = self.random.random()
        for name, rate in rates.items():
            left -= rate
            if left < 0:
                self.counts[name] += 1
                return name
        return None

    def coin(self, share: float = 0.5) -> bool:
        return self.random.random() < share
