"""The shard: one owned partition, from its records to its commit.

Promise   `step` computes and stores no state; `commit` stores all of it or nothing, once.
How       Profile rows that the table lacks are read (rows.py), the engine folds, and a compare-and-set
          on the fence stores rows, views, outbox entry and positions together (commit.py). Step n + 1
          may be computed while commit n is under way: `begin` n, step n + 1, `finish` n. Timers whose time
          has come are a step of their own: `fire`.
Limits    One step and one commit at a time; RECORDS_MAX records a step. Never commit out of order.
Not here  Which records, and when to try again: faust_log.py, redis_log.py. Where timers are found: timers.py.

After an error
    StoreDownError from step      nothing has happened; step again with the same records, or fire again
    StoreDownError from a commit  commit the same work again, later
    any other StoreError          drop what was stepped, and claim the shard again
"""

from functools import partial
from time import perf_counter_ns

import msgspec

from processors.batch import RECORDS_MAX, Records
from processors.layout import LayoutError
from processors.partition import astray, put_aside
from processors.profiles import Table
from rules.action import Action
from streams.commit import StandingWatch
from streams.errors import DamagedError
from streams.fence import Fence
from streams.keys import Keys
from streams.outbox import Outbox, pending
from streams.rounds import Rounds, fire_until
from streams.rows import Rows
from streams.staleness import judged, judged_timers
from streams.step import Engine
from streams.store import text_of
from streams.timers import Timers, dues_of, needed, note_timers
from streams.work import Engines, Ports, Work


class Shard:
    """One owned shard. Made by a Claimer (claimer.py)."""

    def __init__(
        self,
        engines: Engines,
        engine: Engine,
        table: Table,
        ports: Ports,
        rows: Rows,
        watch: StandingWatch,
        timers: Timers,
        partitions: int | None,
        stale_ms: int | None,
    ) -> None:
        """Take over what the claimer has prepared.

        Args:
            engines: which engine to step with.
            engine: the one whose layout the table has.
            table: rows as stored.
            ports: what the shard tells the world.
            rows: where rows are read.
            watch: the claim.
            timers: the index of who waits for a time.
            partitions: how many shards there are.
            stale_ms: from what age on a cause is no news (staleness.py); None: it always is.
        """
        self.number = watch.number
        self._partitions = partitions
        self._stale_ms = stale_ms
        self.engine = engine
        self.table = table  # rows in the layout of `engine`
        self._engines = engines
        self.outbox = Outbox(self.number)
        self.ports = ports
        self._rows = rows
        self._watch = watch
        self._timers = timers
        self._looked_at: list[str] = []  # whose entries of the index are to be moved
        self._keys = Keys.of(self.number)
        self._fence = watch.owner
        self._next = watch.owner
        self._rounds = Rounds()
        self._steps_open = 0  # computed and not committed: while there are any, the table is ahead

    @property
    def fence(self) -> Fence:
        """As committed."""
        return self._fence

    @property
    def offsets(self) -> dict[str, str]:
        """The next position to read, by topic, as committed; absent = the earliest."""
        return self._fence.offsets

    @property
    def due_ms(self) -> int | None:
        """No timer is due before that, by the wall clock; None: nobody waits for a time."""
        return self._timers.next_ms

    def step(self, records: Records, offsets: dict[str, str]) -> Work:
        """Fold the records into the table, and say what a commit is to store.

        Args:
            records: at most RECORDS_MAX, in folding order.
            offsets: the next position to read after them, for the topics that they advanced.

        Raises:
            StoreDownError: Rows could not be read; nothing has happened.
            FencedError: The shard has another owner.
            MismatchError: The shard is not as we left it.
            DamagedError: A row or a layout is not ours.
        """
        assert len(records.values) <= RECORDS_MAX, "the log cuts batches"
        self._reload()
        decoded = self.engine.reader.read(records)
        self._rows.keep_layout(self.engine.plan.layout)
        missing = self.table.missing(decoded.customer_ids)
        # Who is in the table belongs here.
        homes = {} if self._partitions is None else astray(missing, self.number, self._partitions)
        if homes:
            decoded = put_aside(records, decoded, self.number, homes)
            missing = [each for each in missing if each not in homes]
        self._load(missing, decoded.customer_ids)
        self._steps_open += 1
        slots = self.table.slots(decoded.customer_ids)
        before_ms, fired_ms, observe = list[int](), list[int](), None
        if self.engine.rule_plan.has_timers:
            before_ms = self.table.dues_ms(slots)
            observe = partial(note_timers, fired_ms)
        place = (self.engine, self.table, records, decoded, self.number, observe)
        outcome = self._rounds.run(*place, slots=slots)
        if outcome.actions and self._stale_ms is not None:
            told = judged(outcome.actions, outcome.causes, records, decoded, self._stale_ms)
            outcome = msgspec.structs.replace(outcome, actions=told)
        waited_ms = zip(decoded.customer_ids, before_ms, strict=True)
        entries = needed(outcome.changed_ids, outcome.dues_ms, waited_ms)
        dead = decoded.dead + outcome.dead
        return Work(self, offsets, records.times_ms, outcome, dead, entries, fired_ms)

    def fire(self, until_ms: int) -> Work | None:
        """Step timers that are due by then, and say what a commit is to store; None: there are none.

        Only when all that was stepped is committed, and when the log is read up to `until_ms`. There may be
        more: see `due_ms`. Raises as `step` does.

        1. Move the entries that led to what was fired last; its commit is in.
        2. Ask the index whose timers are due, and read their rows. Where no row says so, move the entry.
        3. Step the others.
        """
        assert not self._steps_open, "rows are to be as they are committed"
        self._reload()
        # 1.
        self._timers.settle(self.table, self._looked_at)
        self._looked_at = []
        # 2.
        customer_ids = self._timers.due(until_ms)
        if not customer_ids:
            return None
        self._rows.keep_layout(self.engine.plan.layout)
        self._load(self.table.missing(customer_ids), customer_ids)
        dues_ms = dues_of(self.table, customer_ids)
        before_ms = {each: due for each, due in dues_ms.items() if 0 < due <= until_ms}
        self._timers.settle(self.table, [each for each in customer_ids if each not in before_ms])
        if not before_ms:
            return None
        # 3.
        self._looked_at = list(before_ms)
        self._steps_open += 1
        place = (self.engine, self.table, self._looked_at)
        observe = partial(note_timers, fired_ms := list[int]())
        outcome = fire_until(*place, until_ms, self.number, observe)
        if self._stale_ms is not None:
            actions = judged_timers(outcome.actions, until_ms, self._stale_ms)
            outcome = msgspec.structs.replace(outcome, actions=actions)
        entries = needed(outcome.changed_ids, outcome.dues_ms, before_ms.items())
        return Work(self, {}, [], outcome, [], entries, fired_ms, by_clock=True)

    def _reload(self) -> None:
        """Go on with other rules or another model, if there are, once all rows are committed."""
        engine = self._engines()
        if engine is not self.engine and not self._steps_open:
            self.table.migrate(engine.plan.layout, engine.plan.memos)
            self.engine = engine

    def _load(self, missing: list[str], customer_ids: list[str]) -> None:
        """Read the rows that are missing of those that the batch needs."""
        if not missing:
            return
        watch = self._watch
        before = (watch.stored, watch.sending)
        rows = self._rows.load(
            missing,
            # A commit on another thread may have gone on while the rows were read.
            lambda fence: watch.judge(fence, (*before, watch.stored, watch.sending)),
        )
        try:
            self.table.insert(missing, rows, self._rows.layout_of, keep=customer_ids)
        except LayoutError as error:
            raise DamagedError(self._keys.row_, f"begins a row that is damaged: {error}") from error

    def commit(self, work: Work) -> None:
        """Store the work. After StoreDownError call it again with the same work.

        Raises:
            StoreDownError: It may be stored or not; the next call finds out.
            FencedError: The shard has another owner; nothing was stored.
            MismatchError: The shard is not as we left it; nothing was stored.
            StoreError: Redis refuses the commit for good; nothing was stored.
            StreamsError: The dead letters could not be written; nothing was stored.
        """
        self.begin(work)
        self.finish(work)

    def begin(self, work: Work) -> None:
        """Send the commit of the work without waiting for it. Raises as `commit` does.

        1. Make the dead letters durable: nothing is skipped that is not kept somewhere.
        2. Make the next fence from the committed one; the same work makes the same fence again.
        3. Send what the index of timers needs, then rows, views and outbox entry, guarded by the fence.
        """
        work.begun_ns = work.begun_ns or perf_counter_ns()
        # 1.
        work.prepare(wait=True)
        if work.entries and self._watch.in_doubt:
            self._pass_by()
        # 2.
        fence = self._fence
        self._next = msgspec.structs.replace(
            fence,
            offsets={**fence.offsets, **work.offsets},
            outbox=fence.outbox + bool(work.outcome.actions),
            commits=fence.commits + 1,
        )
        # 3.
        pairs = work.pairs(self._keys, self._next.outbox)
        also = ("GET", self._keys.relay)
        self._watch.begin(self._next.encode(), pairs, also, self._timers.command(work.entries))

    def _pass_by(self) -> None:
        """Change the fence and nothing else: what is still on its way for the old one comes to nothing."""
        fence = msgspec.structs.replace(self._fence, commits=self._fence.commits + 1)
        self._watch.begin(fence.encode(), [], ("GET", self._keys.relay))
        self._watch.finish()
        self._fence = fence

    def finish(self, work: Work) -> None:
        """Wait until the commit that was begun is stored, and tell so. Raises as `commit` does."""
        settled = text_of(self._watch.finish())
        self._fence = self._next
        self._steps_open -= 1
        self._timers.written([due_ms for _, due_ms in work.entries])
        actions = work.outcome.actions
        if actions:
            self.outbox.add(self._fence.outbox, len(actions))
            self.ports.committed(self.number, self._fence.outbox, actions)
        self.outbox.follow(settled)
        assert work.begun_ns is not None, "begin comes before finish"
        self.ports.stored(work, perf_counter_ns() - work.begun_ns)

    def look(self) -> None:
        """See whether the shard is as we left it. While it is at rest no commit would find out.

        Raises:
            StoreDownError: Redis cannot be asked now; look again.
            FencedError: The shard has another owner.
            MismatchError: Redis has lost commits of ours.
        """
        self._watch.look()

    def is_full(self) -> bool:
        """Whether so many actions wait for delivery that consuming must stop. Asks Redis when so.

        Raises:
            StoreError: Redis cannot be read.
        """
        if self.outbox.is_full:
            self.outbox.follow(text_of(self._rows.connection.call("GET", self._keys.relay)))
        return self.outbox.is_full

    def pending(self) -> list[tuple[int, list[Action]]]:
        """The committed actions that are not settled, by sequence: what the relay recovers from.

        Raises:
            StoreError: Redis cannot be read.
        """
        return pending(self._rows.connection, self.number, self._fence.outbox)

    def is_as_left(self, fence: bytes | None) -> bool:
        """Whether the table equals the rows that were stored together with this fence."""
        return fence == self._watch.stored and not self._steps_open

    def close(self) -> None:
        """Let go of the connections; the shard stays ours until somebody else claims it."""
        self._watch.close()
        self._rows.connection.close()
