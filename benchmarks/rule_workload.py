"""Rules of the packs' mix for `rapport bench rules`: so many, with so many different features between them.

Mix       Of each hundred rules, 34 are judged at one kind of event, 56 fire when a condition becomes true (6
          of them after it has held for a while), 10 wait for what comes in order, or does not come. Windows
          from ten minutes to a year, decayed counts, extremes, distinct counts, z-scores, health, trend,
          texts; cooldowns, caps, quiet hours and consent as the packs have them.
Features  Readings and scores that no other rule has: windows and half-lives vary with the rule's number.
"""

from typing import Final

_HELD_BACK: Final = (
    'cooldown = "7d"',
    'cooldown = "30d"\nquiet = { from = "21:00", to = "09:00", zone = "Europe/Rome" }',
    'cap = { per_customer = "3 per 30d", channel = "email" }',
    'cooldown = "1d"',
)
_AT_EVENTS: Final = (
    ("order.paid", "amount < 5 and count(order.paid where amount < 5, {m}m) >= 5"),
    ("order.placed", "amount > {n} + 2 * max(order.placed.amount, {d}d, before)"),
    ("order.placed", "zscore(order.placed.amount, half_life {d}d) >= 4 and amount > {n}"),
    ("order.paid", "distinct(order.paid.terminal, {h}h) >= 4 and amount > {n}"),
    (
        "service.*",
        "action in ('csat', 'nps') and mean(service.csat.score, {d}d) < 2 and count(service.csat, {h}h) > 2",
    ),
    ("click.checkout", "count(click.checkout, {h}h) >= {n} and count(order.placed, {h}h) = 0"),
)
_EDGES: Final = (
    "health < {n} and trend(health, {d}d) <= -10 and count(order.placed, {y}d) >= 3",
    "count(click.add_to_cart, {h}h) >= {n} and count(order.placed, {h}h) = 0",
    "count(order.placed, {y}d) > 2 and rate(click.*, {d}d) < 50% * rate(click.*, half_life {e}d)",
    "since(order.placed) > {d}d and sum(order.*.amount, {y}d) > {n}",
    "count(order.returned, {d}d) >= {n} and count(order.returned, {d}d) > 50% * count(order.placed, {d}d)",
    "sum(order.paid.amount, {d}d) > 5 * sum(order.paid.amount, half_life {d}d) + 1{n}",
    "count(service.complaint, {d}d) >= 2 and health.band in ('red', 'amber')",
    "last(service.csat.score) <= 1 and count(service.ticket_opened, {h}h) >= 6 and orders_amount > {n}",
    "anomaly.amount.alert = 1 and max(order.paid.amount, {d}d) > {n} and count(order.paid, {y}d) > 2",
)
_SEQUENCES: Final = (
    ('["click.add_to_cart", "no order.placed within {h}h"]', 'key = "session_id"\n'),
    ('["service.ticket_opened", "no service.first_response within {h}h"]', 'key = "ticket_id"\n'),
    ('["customer.identify", "order.placed where amount > {n}0 within {h}h"]', ""),
)


def _rule(number: int) -> str:
    place, turn = number % 100, number // 100
    varied = {
        "d": 1 + number * 7 % 199,
        "y": 160 + number * 13 % 199,
        "e": 30 + number * 11 % 331,
        "h": 1 + number * 5 % 167,
        "m": 10 + number % 120,
        "n": 20 + number * 3 % 60,
    }
    lines = [f"[rule.rule-{number}]"]
    if place % 3 == 0:
        on, when = _AT_EVENTS[place // 3 % len(_AT_EVENTS)]
        lines += [f'on = "{on}"', f'when = """{when.format(**varied)}"""']
    elif place % 10 == 1:
        sequence, key = _SEQUENCES[place // 10 % len(_SEQUENCES)]
        lines += [f"sequence = {sequence.format(**varied)}", key.rstrip()]
    else:
        when = _EDGES[(place * 5 + turn) % len(_EDGES)].format(**varied)
        lines += [f'when = """{when}"""', 'for = "10m"' if place % 16 == 2 else ""]
    held = _HELD_BACK[place // 2 % len(_HELD_BACK)]
    return "\n".join([*lines, held, 'then = [{ log = "bench" }]', ""])


def rules(count: int = 200) -> dict[str, bytes]:
    """Rule files of so many rules, fifty each."""
    return {
        f"{first}.toml": "\n".join(
            _rule(number) for number in range(first, min(first + 50, count))
        ).encode()
        for first in range(0, count, 50)
    }
