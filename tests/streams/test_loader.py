"""From files to an engine: whole, or with every mistake told."""

import errno
from pathlib import Path

import pytest

from rules.errors import RulesError
from streams.errors import MissingError
from streams.loader import FILES_MAX, LoadError, Sources, packs

RULE = """
[rule.{name}]
version = 1
on = "order.placed"
then = [{{ log = "orders", type = "order" }}]
"""


def write(folder: Path, name: str, text: str | None = None) -> Path:
    file = folder / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(RULE.format(name=name.rpartition("/")[2]) if text is None else text)
    return file


def names(sources: Sources) -> list[str]:
    return [rule.name for rule in sources.engine().rules.rules]


def test_the_starter_packs_make_an_engine() -> None:
    """Who starts without a word gets these."""
    sources = Sources()

    assert sources.place == packs()
    assert len(names(sources)) >= 8


def test_the_files_of_a_folder_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Subfolders too; what editors leave behind is not."""
    for name in ("b", "a", "team/c", ".hidden/d", ".e"):
        write(tmp_path, name)
    (tmp_path / "notes.txt").write_text("no rule")

    assert names(Sources(rules=tmp_path)) == ["a", "b", "c"]
    assert names(Sources(rules=tmp_path / "b.toml")) == ["b"]


def test_tests_of_rules_are_no_rules(tmp_path: Path) -> None:
    """They stand beside them, and change nothing that is in force: no reload for them either."""
    write(tmp_path, "a")
    before = Sources(rules=tmp_path).fingerprint()
    write(tmp_path, "a.test", "[[case]]")

    assert names(Sources(rules=tmp_path)) == ["a"]
    assert Sources(rules=tmp_path).fingerprint() == before


def test_an_empty_folder_is_a_set_without_rules(tmp_path: Path) -> None:
    """Profiles alone are of use."""
    assert names(Sources(rules=tmp_path)) == []


@pytest.mark.parametrize(
    ("model", "rules", "says"),
    [
        (None, "gone", "gone: there is no such folder of rules"),
        ("gone.toml", None, "gone.toml: there is no such file"),
        ("bad.toml", None, "bad.toml: the model has mistakes"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, model: str | None, rules: str | None, says: str
) -> None:
    """The path is what there is to mend."""
    (tmp_path / "bad.toml").write_text("name = 3")
    sources = Sources(
        None if model is None else tmp_path / model, None if rules is None else tmp_path / rules
    )

    with pytest.raises((LoadError, MissingError), match=says):
        sources.engine()


def test_mistakes_in_rules_stay_what_they_are(tmp_path: Path) -> None:
    """Each has its file and line, for whoever shows it."""
    write(tmp_path, "bad", "[rule.x]\nversion = 1\n")
    with pytest.raises(RulesError) as raised:
        Sources(rules=tmp_path).engine()

    assert {each.file for each in raised.value.problems} == {str(tmp_path / "bad.toml")}


def test_more_files_than_allowed_are_refused(tmp_path: Path) -> None:
    """A folder that was named by mistake is not read whole."""
    for number in range(FILES_MAX + 1):
        (tmp_path / f"{number}.toml").touch()

    with pytest.raises(LoadError, match=f"at most {FILES_MAX}"):
        Sources(rules=tmp_path).engine()


def test_the_fingerprint_changes_with_every_file_that_is_written_added_or_removed(
    tmp_path: Path,
) -> None:
    """It is what the watcher looks at."""
    model = tmp_path / "model" / "mine.toml"
    model.parent.mkdir()
    model.touch()
    folder = tmp_path / "rules"
    first = write(folder, "a")
    sources = Sources(model, folder)
    seen = [sources.fingerprint()]
    first.write_text("# longer now\n" + first.read_text())
    seen.append(sources.fingerprint())
    write(folder, "b")
    seen.append(sources.fingerprint())
    first.unlink()
    seen.append(sources.fingerprint())
    model.write_text("x")
    seen.append(sources.fingerprint())

    assert len(set(seen)) == len(seen)
    assert sources.fingerprint() == seen[-1]


def test_a_process_without_a_descriptor_left_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes along is read from disk too: a reload at a bad moment must not end the engine."""

    def fails(_path: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "read_bytes", fails)

    with pytest.raises(LoadError, match="default model cannot be read: Too many open files"):
        Sources().engine()
