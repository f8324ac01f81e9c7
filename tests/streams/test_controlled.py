"""Rules under what was said by command: stages, pauses and snoozes, in the engine that steps."""

from processors.batch import Origin, Records
from processors.decode import decode
from processors.layout import Layout
from rules.action import Action
from rules.rule import Rule
from streams.controlled import controlled, known
from streams.controls import Control, Controls, Known, Snooze, Stage, Staged, paused
from streams.step import Engine, run
from tests.replaying import engine_of
from tests.streams.replay_rows import HOUR_MS, START_MS

DAY_MS = 24 * HOUR_MS
RULES = """
[rule.loud]
stage    = "shadow"
on       = "order.placed"
cooldown = "2d"
then     = [{ log = "x" }]

[rule.plan]
stage = "draft"
on    = "order.placed"
then  = [{ log = "x" }]
"""
FILE = Known(1, Stage("shadow"))


def staged(stage: str, of: Known = FILE) -> Control:
    return Control(Staged(Stage(stage, 0.5 if stage == "canary" else 0.0), of, "ann", 1))


class World:
    """One table, stepped with one engine after the other."""

    def __init__(self) -> None:
        files = engine_of(RULES)
        self.model, self.files = files.model, files.rules
        self.engine = files
        self.table = files.table()
        self.events = 0

    def under(self, controls: Controls) -> Engine:
        self.engine = controlled(self.model, self.files, controls)
        self.table.migrate(self.engine.plan.layout, self.engine.plan.memos)
        return self.engine

    def order(self, day: float, *customers: str) -> list[Action]:
        at_ms = START_MS + round(day * DAY_MS)
        values: list[bytes | None] = []
        for customer_id in customers:
            self.events += 1
            values.append(
                b'{"id":"e%d","type":"order","action":"placed","customer_id":"%b","at_ms":%d,"amount":1}'
                % (self.events, customer_id.encode(), at_ms)
            )
        origin = Origin("", 0, "", None, (), at_ms)
        records = Records(values, [at_ms] * len(values), lambda _index: origin)
        decoded = decode(records)
        assert not decoded.dead
        missing = self.table.missing(decoded.customer_ids)
        layouts: dict[bytes, Layout] = {}
        self.table.insert(missing, [None] * len(missing), layouts.__getitem__)
        return run(self.engine, self.table, records, decoded, 0).actions


def test_a_stage_by_command_is_that_of_the_engine() -> None:
    """In shadow it is withheld; live it is not; and a draft is judged once it is no draft."""
    world = World()
    world.under({})
    assert [(each.rule, each.withheld) for each in world.order(0, "a")] == [("loud", "shadow")]
    world.under({"loud": staged("live"), "plan": staged("shadow", Known(1, Stage("draft")))})
    assert [(each.rule, each.withheld) for each in world.order(0, "b")] == [
        ("loud", ""),
        ("plan", "shadow"),
    ]
    world.under({"loud": staged("canary"), "gone": staged("live")})
    (canary,) = (each for each in world.engine.rules.rules if each.name == "loud")
    assert (canary.stage, canary.canary) == ("canary", 0.5)
    assert known(_file(world)) == FILE


def _file(world: World) -> Rule:
    return next(each for each in world.files.rules if each.name == "loud")


def test_a_rule_that_is_paused_or_snoozed_fires_for_nobody_and_uses_nothing_up() -> None:
    """What is held back changes no cooldown: it fires again as soon as it may."""
    world = World()
    live = staged("live")
    for held in (paused(live, "", "ann", 1), Control(live.staged, snooze=_until(10))):
        world.under({"loud": held})
        assert world.order(1, "a") == []
        assert world.engine.rule_plan.suppressed_by["loud"] == {"snooze": 1}
    assert [each.customer_id for each in world.order(10, "a")] == ["a"]


def _until(day: int) -> Snooze:
    return Snooze(START_MS + day * DAY_MS, "ann", 1)


def test_a_rule_is_snoozed_for_one_customer_until_then_and_for_nobody_else() -> None:
    """Not withheld after the fact: the snooze comes before caps and cooldowns, and uses neither up."""
    world = World()
    world.under({"loud": Control(staged("live").staged, customers={"b": START_MS + 5 * DAY_MS})})

    assert [each.customer_id for each in world.order(1, "a", "b", "c")] == ["a", "c"]
    assert world.engine.rule_plan.suppressed_by["loud"] == {"snooze": 1}
    assert [each.customer_id for each in world.order(5, "b", "c")] == ["b", "c"]
    assert [each.customer_id for each in world.order(5.5, "b", "c")] == []


def test_the_later_of_two_snoozes_holds() -> None:
    """One for all, and one for this customer."""
    world = World()
    customers = {"b": START_MS + 5 * DAY_MS}
    world.under({"loud": Control(staged("live").staged, snooze=_until(2), customers=customers)})

    assert world.order(1, "a", "b") == []
    assert [each.customer_id for each in world.order(3, "a", "b")] == ["a"]
    assert [each.customer_id for each in world.order(6, "a", "b")] == ["a", "b"]
