"""How far a rule may go is a setting, and a mistake in it is told."""

from pathlib import Path

import pytest

from streams.settings import SettingsError, read


def test_the_guard_is_on_unless_it_is_turned_off(tmp_path: Path) -> None:
    """Five times what was expected, and a tenth of the customers."""
    usual = read({}, {}, tmp_path)
    off = read({}, {"RAPPORT_RULES_GUARD_TIMES": "0", "RAPPORT_RULES_GUARD_SHARE": "0"}, tmp_path)
    (tmp_path / "rapport.toml").write_text('rules_guard_times = 3\nrules_guard_share = "2.5%"\n')
    given = read({}, {}, tmp_path)

    assert (usual.rules_guard_times, usual.rules_guard_share) == (5, 0.1)
    assert (off.rules_guard_times, off.rules_guard_share) == (0, 0.0)
    assert (given.rules_guard_times, given.rules_guard_share) == (3, 0.025)


@pytest.mark.parametrize("share", ["10", "0.1", "101%", "-1%", "much"])
def test_a_share_that_is_none_is_refused(tmp_path: Path, share: str) -> None:
    """10 might be ten customers, a tenth of one, or ten percent."""
    with pytest.raises(SettingsError, match='must be a percentage such as "10%", or 0'):
        read({}, {"RAPPORT_RULES_GUARD_SHARE": share}, tmp_path)
