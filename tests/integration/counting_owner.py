"""An owner of a shard that counts: the smallest state that shows a lost or a doubled commit.

Each commit moves the position by one, adds 1 to one customer's row, and adds an outbox entry with the
position. Whatever happens, rows, entries and position must tell the same story.
"""

import time
from dataclasses import dataclass, field

import msgspec

from streams.commit import StandingWatch
from streams.errors import StoreDownError
from streams.fence import Claim, Fence, take
from streams.keys import Keys
from streams.store import Command, Connection, StoreAddress, text_of

NUMBER = 7
KEYS = Keys.of(NUMBER)
ATTEMPTS_MAX = 1_000
CLAIM_SECONDS_MAX = 10.0
POLL_SECONDS = 0.01


@dataclass
class CountingOwner:
    """Owns shard NUMBER from its making on, and keeps counts in memory as the engine keeps rows."""

    url: str
    nonce: str
    generation: int = 0
    now_ms: int = 1
    watch: StandingWatch = field(init=False)
    fence: Fence = field(init=False)
    counts: dict[bytes, int] = field(default_factory=dict)
    repeats_count: int = 0

    def __post_init__(self) -> None:
        connection = Connection(StoreAddress.parse(self.url))
        claim = self._take(connection)
        self.watch = StandingWatch(connection, NUMBER, claim)
        self.fence = claim.fence

    def _take(self, connection: Connection) -> Claim:
        deadline = time.monotonic() + CLAIM_SECONDS_MAX
        while True:
            try:
                return take(connection, NUMBER, self.generation, self.now_ms, self.nonce)
            except StoreDownError:  # Redis 6 rewrites its file first
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    @property
    def position(self) -> int:
        return int(self.fence.offsets.get("log", "0"))

    def pairs(self, customer: bytes) -> tuple[Fence, list[bytes]]:
        """The next fence and what goes along with it."""
        if customer not in self.counts:
            with_rows = Connection(self.watch.address)
            self.counts[customer] = int(text_of(with_rows.call("GET", KEYS.row_ + customer)) or 0)
            with_rows.close()
        position = self.position + 1
        fence = msgspec.structs.replace(
            self.fence,
            offsets={"log": str(position)},
            outbox=position,
            commits=self.fence.commits + 1,
        )
        count = b"%d" % (self.counts[customer] + 1)
        entry = [KEYS.outbox(position), customer]
        return fence, [KEYS.row_ + customer, count, KEYS.customer_ + customer, count, *entry]

    def commit(self, customer: bytes) -> None:
        """One commit, begun again until it is known to be stored."""
        fence, pairs = self.pairs(customer)
        for _ in range(ATTEMPTS_MAX):
            try:
                self.watch.begin(fence.encode(), pairs, ("GET", KEYS.relay))
                self.watch.finish()
            except StoreDownError:
                self.repeats_count += 1
                continue
            self.fence = fence
            self.counts[customer] += 1
            return
        raise AssertionError(f"not stored after {ATTEMPTS_MAX} attempts")

    def close(self) -> None:
        self.watch.close()


@dataclass(frozen=True)
class Story:
    """What the keys of the shard say."""

    position: int
    counted: int  # sum of the rows
    viewed: int  # sum of the views
    entries: int  # outbox entries that there are

    @property
    def agrees(self) -> bool:
        return self.position == self.counted == self.viewed == self.entries


def story(url: str, customers: list[bytes]) -> Story:
    """Read all keys in one go."""
    connection = Connection(StoreAddress.parse(url))
    stored = text_of(connection.call("GET", KEYS.fence))
    fence = Fence(0, "", 0, {}) if stored is None else Fence.decode(NUMBER, stored)
    commands: list[Command] = [("GET", KEYS.row_ + each) for each in customers]
    rows = [int(text_of(reply) or 0) for reply in connection.ask(commands)]
    commands = [("GET", KEYS.customer_ + each) for each in customers]
    views = [int(text_of(reply) or 0) for reply in connection.ask(commands)]
    keys = connection.call("KEYS", KEYS.outbox_.replace(b"{", b"\\{").replace(b"}", b"\\}") + b"*")
    assert isinstance(keys, list)
    connection.close()
    return Story(int(fence.offsets.get("log", "0")), sum(rows), sum(views), len(keys))
