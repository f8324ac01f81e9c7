"""The harness of the fault experiments is itself tried: it must not pass what shows nothing."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import __main__ as command
from tests.faults import report
from tests.faults import run as harness
from tests.faults.experiment import PROMISED, Experiment, Outcome, Run, files, load, p99
from tests.faults.oracle import verdict
from tests.faults.report import page
from tests.faults.run import Task, all_of, merged, read, write
from tests.faults.trial import tried
from tests.integration.shop import Customer, Stored

FAKE = """
import sys, time
from tests.faults.experiment import Experiment, Outcome, Run

def run(run):
    run.say("said from within")
    missing = NAIVE if run.naive else REAL
    wrong = ("One is gone.",) if missing else ()
    return Outcome(1, 5, 5, 5, 0, 0, 0, missing, 0, None, None, {}, wrong)

EXPERIMENT = Experiment(1, "fake", "Nothing breaks", "Nothing", "Nothing", False, run, 1.0)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The logs of who works here stay."""
    monkeypatch.setattr(harness, "LOGS", tmp_path / "kept")


def outcome(missing: int = 0, faults: int = 100, wrong: tuple[str, ...] = ()) -> Outcome:
    return Outcome(faults, 50, 50, 50, 5, 5, 1, missing, 0, 12.5, 80.0, {"refused": 3}, wrong)


def experiment(run: Callable[[Run], Outcome], name: str = "kill_workers") -> Experiment:
    return Experiment(
        1, name, "Workers die", "All counts once", "No fence", needs_kafka=False, run=run, seconds=1
    )


def fake(folder: Path, naive: int, real: int, body: str = FAKE) -> Task:
    file = folder / "fake.py"
    file.write_text(body.replace("NAIVE", str(naive)).replace("REAL", str(real)))
    return Task("fake", file, 7, 0.5, 1.0)


def test_an_experiment_whose_naive_way_fails_and_ours_does_not_is_ok(tmp_path: Path) -> None:
    """The row has the figures of both runs, and what is needed to do it again."""
    row = tried(experiment(lambda run: outcome(missing=3 * run.naive)), 7, 1.0, tmp_path)

    assert row["ok"] is True
    assert (row["experiment"], row["seed"], row["scale"]) == ("kill_workers", 7, 1.0)
    assert (row["naive_missing"], row["missing"], row["repeated"]) == (3, 0, 1)
    assert (row["stall_ms_max"], row["recover_ms_p99"]) == (12.5, 80.0)


def test_an_experiment_whose_naive_way_passes_fails(tmp_path: Path) -> None:
    """A check that cannot fail proves nothing."""
    row = tried(experiment(lambda _run: outcome()), 7, 1.0, tmp_path)

    assert row["ok"] is False
    assert row["wrong"] == ["The naive way passes, so this shows nothing."]


def test_a_naive_way_that_ends_with_an_exception_has_not_failed_the_check(tmp_path: Path) -> None:
    """A server that did not start would else count as proof."""

    def run(run: Run) -> Outcome:
        if run.naive:
            raise OSError("no server")
        return outcome()

    row = tried(experiment(run), 7, 1.0, tmp_path)

    assert row["ok"] is False
    assert row["wrong"] == ["The naive run ended with OSError: no server"]


def test_what_is_missing_fails_also_where_no_sentence_says_so(tmp_path: Path) -> None:
    """A figure that nobody reads must not pass."""
    row = tried(experiment(lambda _run: outcome(missing=2)), 7, 1.0, tmp_path)

    assert row["wrong"] == ["2 missing, 0 surplus."]


def test_fewer_faults_than_promised_fail(tmp_path: Path) -> None:
    """A load that was over too soon has broken nothing."""
    row = tried(experiment(lambda run: outcome(run.naive, faults=9)), 7, 0.1, tmp_path)
    enough = tried(experiment(lambda run: outcome(run.naive, 10)), 7, 0.1, tmp_path / "enough")

    assert row["wrong"] == ["Only 9 faults were injected, of 100 at full scale."]
    assert enough["ok"] is True


def test_a_process_of_its_own_hands_over_its_row(tmp_path: Path) -> None:
    """So that what an experiment leaves behind dies with it."""
    said: list[str] = []

    (row,) = all_of([fake(tmp_path, naive=1, real=0)], 2, said.append)

    assert row["ok"] is True
    assert any("said from within" in line and line.startswith("fake ") for line in said)


def test_a_failing_seed_is_told_with_the_command_that_replays_it(tmp_path: Path) -> None:
    """Else a failure of the night is gone in the morning."""
    said: list[str] = []

    (row,) = all_of([fake(tmp_path, naive=1, real=1)], 1, said.append)

    assert row["ok"] is False
    assert row["wrong"] == ["One is gone."]
    assert said[-1].endswith("FAILS; again: make faults SCALE=0.5 SEED=7 ONLY=fake")


def test_the_logs_of_what_falls_short_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed in one night of many is in them, and the folder of the run is gone."""
    monkeypatch.setattr(harness, "LOG_BYTES_MAX", 3)
    writes = "def run(run):\n    (run.folder / 'w.log').write_text('what happened')\n"
    body = FAKE.replace("def run(run):\n", writes)

    all_of([fake(tmp_path, 1, 0, body)], 1, print)
    assert not (tmp_path / "kept").exists()

    all_of([fake(tmp_path, 1, 1, body)], 1, print)
    assert (tmp_path / "kept" / "fake" / "real" / "w.log").read_text() == "ned"


def test_an_experiment_that_dies_is_a_row_that_fails(tmp_path: Path) -> None:
    """With the last that it said."""
    (row,) = all_of([fake(tmp_path, 1, 0, "import sys\nsys.exit('no such thing')")], 1, print)

    assert row["ok"] is False
    assert row["wrong"] == ["It ended with 1 and no result: no such thing"]


@pytest.mark.slow
def test_processes_left_behind_fail_and_are_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker of a failed run would take a core from all that follow."""
    monkeypatch.setattr("tests.faults.run.GONE_SECONDS_MAX", 0.1)
    body = FAKE.replace(
        'run.say("said from within")',
        'import subprocess; run.say(str(subprocess.Popen(["sleep", "100"], stdout=-3).pid))',
    )
    said: list[str] = []

    (row,) = all_of([fake(tmp_path, 1, 0, body)], 1, said.append)

    assert row["ok"] is False
    assert row["wrong"] == ["It left processes behind."]


@pytest.mark.slow
def test_an_experiment_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs must not hold up the others for ever."""
    monkeypatch.setattr("tests.faults.run.SPARE_SECONDS", 0.5)
    body = "import threading\nthreading.Event().wait()"

    (row,) = all_of([Task("fake", fake(tmp_path, 1, 0, body).file, 7, 0.5, 0.1)], 1, print)

    (late, *_) = row["wrong"] if isinstance(row["wrong"], list) else [None]
    assert late == "It took longer than 1 s."


def test_results_are_merged_by_experiment(tmp_path: Path) -> None:
    """A run of one experiment keeps the figures of the others."""
    file = tmp_path / "results" / "faults.json"
    old = [{"experiment": name, "number": place, "seed": 1} for place, name in enumerate("abc")]
    assert read(file) == []

    write(file, old)
    write(file, merged(read(file), [{"experiment": "b", "number": 1, "seed": 2}]))

    kept = [(row["experiment"], row["seed"]) for row in read(file)]
    assert kept == [("a", 1), ("b", 2), ("c", 1)]


def test_the_report_has_the_figures_of_each_experiment(tmp_path: Path) -> None:
    """And says which have not been run, and which fall short."""
    one = experiment(lambda run: outcome(3 * run.naive, 1_234))
    other = experiment(lambda _run: outcome(wrong=("It was slow.",)), "redis_kill")
    row = tried(one, 7, 1.0, tmp_path)
    short = tried(other, 7, 1.0, tmp_path / "other")

    text = page([one], [row])
    told = "| 1 | Workers die | yes | 1.0 | 7 | 1,234 | 50 | 0 | 0 | 1 | 12.5 | 80 | 3 | 0 |"
    assert told in text
    assert "| `refused` | 3 | commits that the fence refused, because" in text
    assert "not yet run" in page([one], [])
    assert "**It falls short:**\n\n- It was slow." in (found := page([other], [short]))
    assert "| 1 | Workers die | **no** | 1.0 | 7 |" in found


def test_the_page_is_made_of_the_results() -> None:
    """A figure that nobody can trace is an advertisement."""
    experiments = [load(file) for name, file in files().items()]

    assert len(experiments) >= 1
    assert report.PAGE.read_text("utf-8") == page(experiments, read(report.RESULTS))


def test_experiments_have_the_numbers_and_names_that_were_promised() -> None:
    """One with another name would be run, and counted for nothing."""
    found = {name: load(file).number for name, file in files().items()}

    assert len(PROMISED) == 18
    assert found == {name: list(PROMISED).index(name) + 1 for name in found}


@pytest.mark.parametrize(
    "arguments", [["--scale", "0"], ["--lanes", "0"], ["--only", "unheard_of"]]
)
def test_options_that_mean_nothing_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A name with a slip would else run nothing, and be green."""
    with pytest.raises(SystemExit) as ended:
        command.options(arguments)

    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_an_absent_experiment_fails_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was lost would else make the run greener."""
    monkeypatch.setattr(command, "files", dict)
    monkeypatch.setattr("sys.argv", ["faults", "--out", str(tmp_path / "faults.json")])

    assert command.main() == 1
    assert "soak is absent" in capsys.readouterr().out


def test_a_machine_without_java_skips_with_the_reason_and_fails_in_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a laptop nobody is to install a broker; in CI a skipped experiment would be a green lie."""
    file = fake(tmp_path, 1, 0, FAKE.replace("False, run", "True, run")).file
    monkeypatch.setattr(command, "files", lambda: {"fake": file})
    monkeypatch.setattr(command, "java", lambda: None)
    monkeypatch.setattr(
        "sys.argv", ["faults", "--only", "fake", "--out", str(tmp_path / "faults.json")]
    )

    monkeypatch.setattr(command, "IN_CI", False)
    assert command.main() == 0
    assert "fake is skipped: Java 17 or newer is missing" in capsys.readouterr().out
    monkeypatch.setattr(command, "IN_CI", True)
    assert command.main() == 1


def test_a_loss_here_and_a_repetition_there_do_not_cancel_out() -> None:
    """A sum over all customers would say that nothing has happened."""
    wanted = {"a": Customer(events_count=2, causes=[("dear", "e1")]), "b": Customer(events_count=2)}
    amounts = dict.fromkeys(("orders_count", "orders_amount", "returns_count"), 0)
    view: dict[str, object] = {**amounts, "first_at_ms": 0, "last_at_ms": 0}
    views = {"a": {**view, "events_count": 1}, "b": {**view, "events_count": 3}}

    found = verdict(wanted, Stored(views, {}, Counter(), {}))

    assert (found.applied, found.missing, found.surplus) == (4, 2, 1)
    assert len(found.wrong) == 3


def test_the_99th_percentile_of_few_is_the_worst() -> None:
    """Rounding down would hide it."""
    assert p99([]) is None
    assert p99([5.0, 9.0, 1.0]) == 9.0
    assert p99(float(each) for each in range(1, 201)) == 198.0


def test_the_counts_of_a_run_follow_its_scale(tmp_path: Path) -> None:
    """And never come to nothing."""
    run = Run(1, 0.1, tmp_path, naive=False, say=print)

    assert [run.of(each) for each in (100, 25, 3)] == [10, 2, 1]


def test_rows_are_json(tmp_path: Path) -> None:
    """They are read by others."""
    row = tried(experiment(lambda run: outcome(3 * run.naive)), 7, 1.0, tmp_path)

    assert json.loads(json.dumps(row)) == row
