"""What `rapport customer` shows of a view."""

import json
from typing import Any

from streams.commands.customer import lines
from tests.machine import ROOT


def view(**changed: object) -> dict[str, Any]:
    """The view that docs/profile.md shows, with some fields changed."""
    text = (ROOT / "docs" / "profile.md").read_text("utf-8")
    block = text.partition("```json\n")[2].partition("```")[0]
    return {**json.loads(block), **changed}


def test_a_profile_is_shown_with_its_reasons() -> None:
    """People ask why before they ask what."""
    shown = "\n".join(lines(view()))

    assert "68 amber" in shown
    assert "trend -0.6" in shown
    assert "-11.2  complaints (service)" in shown


def test_a_customer_of_whom_nothing_is_known_yet_is_shown() -> None:
    """Whoever has only registered has no health, and no band and trend either."""
    shown = lines(view(health=None, band="none", trend=None, reasons=[], anomalies=[]))

    assert shown[1].startswith("health   not known yet")


def test_a_customer_cannot_write_on_the_terminal() -> None:
    """Ids come from outside."""
    shown = lines(view(customer_id="[red]x\x1b[2J"))

    assert "\x1b" not in shown[0]
    assert "\\[red]" in shown[0]
