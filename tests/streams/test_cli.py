"""The command line: its names, its exit codes, and what it says to whom."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import main

COMMANDS = (
    *("up", "worker", "gateway", "relay", "ingest", "replay", "customer", "why", "rules"),
    *("topics", "dlq", "endpoints", "judge", "schema", "doctor", "bench"),
)
GOOD = """
[rule.first-order]
version = 1
describe = "Say thanks for the first order"
on = "order.placed"
when = "count(order.placed) = 1"
then = [{ webhook = "crm", type = "order.first" }]
"""
BAD = GOOD.replace("count(order.placed)", "count(order.placd, 1x)")
AT_MS = 1_700_000_000_000


def event(number: int, **more: object) -> str:
    fields = {
        "id": f"e-{number}",
        "type": "order",
        "action": "placed",
        "customer_id": f"c-{number % 3}",
        "at_ms": AT_MS + number,
        "amount": 10.5,
    }
    return json.dumps({**fields, **more})


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the settings, the environment or the data of who runs it."""
    monkeypatch.chdir(tmp_path)
    for name in ("RAPPORT_LOG", "RAPPORT_REDIS", "RAPPORT_RULES", "RAPPORT_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    return iter([None])


def called(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def rules(folder: Path, text: str) -> str:
    folder.mkdir()
    (folder / "mine.toml").write_text(text)
    return str(folder)


def test_the_commands_have_their_stable_names() -> None:
    """Scripts of users depend on them."""
    listed = called("--help")

    assert listed.exit_code == 0
    assert tuple(main.commands) == COMMANDS
    assert all(f"  {name} " in listed.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_without_loading_anything(name: str) -> None:
    """`rapport up --help` must not compile kernels."""
    result = called(name, "--help")

    assert result.exit_code == 0
    assert f"Usage: main {name}" in result.output


@pytest.mark.parametrize("name", ["up", "worker"])
def test_who_reads_a_log_can_be_told_to_accept_its_gaps(name: str) -> None:
    """The message of a shard that stops at a gap names this option."""
    assert "--accept-gap " in called(name, "--help").output
    assert called(name, "--accept-gap", "--log", "nonsense").exit_code == 2


def test_good_rules_are_counted(tmp_path: Path) -> None:
    """Zero is what a script waits for."""
    folder = rules(tmp_path / "rules", GOOD)

    shown = called("rules", "check", folder).output.splitlines()
    found = json.loads(called("rules", "check", folder, "--json").output)

    assert shown[0] == "1 rule, no mistakes, no remarks"
    assert (found["ok"], found["problems"], found["rules"], found["remarks"]) == (True, [], 1, [])


def test_a_mistake_in_a_rule_has_file_line_and_mend_and_exit_code_1(tmp_path: Path) -> None:
    """It is read by somebody in an editor, or by a check before a commit."""
    folder = rules(tmp_path / "rules", BAD)
    told, counted = called("rules", "check", folder), called("rules", "check", folder, "--json")
    problem = json.loads(counted.stdout)["problems"][0]

    assert told.exit_code == counted.exit_code == 1
    assert "mine.toml:6:" in told.stderr
    assert "Traceback" not in told.output
    assert (problem["file"], problem["line"]) == (f"{folder}/mine.toml", 6)
    assert problem["mend"]


def test_rules_are_listed_with_plain_sentences(tmp_path: Path) -> None:
    """People who do not write rules read them so."""
    folder = rules(tmp_path / "rules", GOOD)
    found = json.loads(called("rules", "list", folder, "--json").output)["rules"]

    assert [each["name"] for each in found] == ["first-order"]
    assert "send order.first to the webhook crm" in found[0]["sentence"]
    assert called("rules", "list", folder).output.splitlines()[0].startswith("name\tversion")


def test_a_replay_counts_fires_money_and_dead_letters(tmp_path: Path) -> None:
    """The same step as live, so that a rule can be tried on last year."""
    lines = tmp_path / "events.jsonl"
    lines.write_text("\n".join([event(1), event(2), event(2), event(4), '{"id": ']))
    folder = rules(tmp_path / "rules", GOOD)
    result = called("replay", str(lines), "--rules", folder, "--json")
    found = json.loads(result.stdout)

    assert result.exit_code == 1  # one row is no event
    assert found["events_read"] == 5
    assert found["events_admitted"] == 3
    assert found["duplicates"] == 1
    assert found["by_action"] == {"order.placed": {"count": 3, "amount": 31.5}}
    assert found["fires"] == {"first-order": 2}
    assert sum(found["dead_letters"].values()) == 1
    assert found["customers"] == 2


def test_a_replay_tells_people_in_tables_and_the_first_bad_rows_on_stderr(tmp_path: Path) -> None:
    """What is piped on must hold the answer alone; a file of the wrong form must not fill the screen."""
    lines = tmp_path / "events.jsonl"
    lines.write_text("\n".join([event(1), *(event(n, amount=-1) for n in range(2, 15))]))
    result = called("replay", str(lines))
    told = result.stderr.splitlines()[-11:]  # before, that kernels are compiled

    assert result.exit_code == 1
    assert "order.placed\t1\t10.50" in result.stdout
    assert [line.partition(":")[0] for line in told[:10]] == [f"row {n}" for n in range(2, 12)]
    assert told[10] == "and 3 more"


@pytest.mark.slow
def test_a_replay_of_a_query_takes_its_parameters_and_writes_features(tmp_path: Path) -> None:
    """Training data equal what is served."""
    (tmp_path / "events.csv").write_text("id,who\na,1\nb,2\n")
    sql = tmp_path / "some.sql"
    sql.write_text(
        "SELECT id, 'click' AS type, $action AS action, who::VARCHAR AS customer_id,"
        " 1700000000000 AS at_ms FROM read_csv($file)"
    )
    features = tmp_path / "features.parquet"
    given = ("--set", f"file={tmp_path}/events.csv", "--set", "action=view")
    result = called("replay", "--sql", str(sql), *given, "--features", str(features), "--json")

    assert json.loads(result.stdout)["by_action"]["click.view"]["count"] == 2
    assert features.stat().st_size > 0


@pytest.mark.slow
def test_a_replay_of_a_query_ends_without_a_word(tmp_path: Path) -> None:
    """DuckDB complains for forty lines where the collector was told to leave its objects alone."""
    sql = tmp_path / "one.sql"
    sql.write_text(
        "SELECT 'a' AS id, 'click' AS type, 'view' AS action, 'c' AS customer_id, 1700000000000 AS at_ms"
    )
    code = "import sys; from streams.cli import main; main()"
    call = [sys.executable, "-c", code, "replay", "--sql", str(sql), "--json"]
    ended = subprocess.run(call, capture_output=True, text=True, check=True)
    after = ended.stderr.rpartition("…")[2]  # kernels may have been compiled, and that is told

    assert json.loads(ended.stdout)["events_admitted"] == 1
    assert "leaked" not in ended.stderr
    assert after.strip() == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("replay",), "name one source"),
        (("replay", "a.jsonl", "--sql", "b.sql"), "name one source"),
        (("ingest",), "name one source"),
        (("replay", "--sql", "a.sql", "--set", "file"), "write it as NAME=VALUE"),
        (("up", "--data", "a", "--log", "embedded:b"), "give one of the two"),
        (("up", "--log", "kafka://localhost:9092"), "the log is Kafka"),
        (("up", "--seed", "3"), "--seed is for --demo"),
        (("up", "--http", "nowhere"), "must be HOST:PORT"),
        (("worker",), "a worker reads from Kafka"),
        (("worker", "--log", "kafka://localhost:9092", "--http", "x"), "must be HOST:PORT"),
        (("gateway",), "a gateway writes to Kafka"),
        (("relay",), "a relay alone is for Kafka"),
        (("topics", "lag"), "topics are Kafka's"),
        (("customer",), "Missing argument 'ID'"),
        (("no-such-command",), "No such command"),
        (("up", "--http", "0.0.0.0:0"), "set a token"),
        (("rules", "reload", "--to", "shop"), "must begin with http"),
        (("worker", "--data", "x"), "No such option"),
        (("replay", "gone.jsonl"), "gone.jsonl: there is no such file"),
        (("replay", "--sql", "gone.sql"), "gone.sql: there is no such file"),
        (("ingest", "gone.jsonl"), "gone.jsonl: there is no such file"),
        (("rules", "check", "gone"), "gone: there is no such folder of rules"),
        (("rules", "list", "--rules", "gone"), "gone: there is no such folder of rules"),
        (("rules", "reload", "gone"), "gone: there is no such folder of rules"),
        (("rules", "check", "--model", "gone.toml"), "gone.toml: there is no such file"),
        (("rules", "check", "--settings", "gone.toml"), "gone.toml: cannot be read"),
    ],
)
def test_a_mistake_in_the_call_has_exit_code_2(arguments: tuple[str, ...], says: str) -> None:
    """A script tells its own mistake from a problem of the data by it."""
    result = called(*arguments)

    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_mistakes_in_the_settings_are_told_all_at_once(tmp_path: Path) -> None:
    """Mending one only to be told of the next is no pleasure."""
    (tmp_path / "rapport.toml").write_text('http = "x"\npartition = 3\n')
    result = called("doctor")

    assert result.exit_code == 2
    assert "http: must be HOST:PORT" in result.stderr
    assert "did you mean partitions" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("replay", "events.csv"), "is none of .jsonl"),
        (("customer", "c-1"), "start it with `rapport up"),
        (("dlq", "list"), "start it with `rapport up"),
        (("rules", "reload", "--http", "127.0.0.1:1"), "no Rapport answers at"),
        (("ingest", "a.jsonl", "--to", "http://127.0.0.1:1"), "no Rapport answers at"),
        (("up", "--data", "a.jsonl/x"), "a.jsonl/x cannot be made"),
    ],
)
def test_what_cannot_be_used_is_a_sentence_and_exit_code_1(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    """What is wrong, where, and how to mend it. The call itself was right."""
    (tmp_path / "a.jsonl").write_text(event(1))
    (tmp_path / "events.csv").write_text("id\n1\n")
    result = called(*arguments)

    assert result.exit_code == 1
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_the_schema_is_json() -> None:
    """It is piped into tools."""
    assert json.loads(called("schema").output)["type"] == "object"


def test_doctor_finds_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    """The first thing that somebody runs who is called at night."""
    well = called("doctor", "--json")
    ill = called("doctor", "--rules", rules(tmp_path / "rules", BAD), "--json")
    states = {each["part"]: each["state"] for each in json.loads(ill.stdout)["findings"]}

    assert well.exit_code == 0
    assert json.loads(well.stdout)["ok"] is True
    assert ill.exit_code == 1
    assert states["rules"] == "problem"
    assert states["endpoints"] == "note"  # the mistakes are told once
    assert states["settings"] == "ok"


def test_doctor_does_not_miss_what_the_demo_brings(tmp_path: Path) -> None:
    """Beside the first `rapport up --demo` there is nothing to mend."""
    folder = tmp_path / "rapport-data"
    folder.mkdir()
    without = json.loads(called("doctor", "--json").stdout)["findings"]
    (folder / "demo.json").write_text("{}")
    with_demo = json.loads(called("doctor", "--json").stdout)["findings"]
    states = [{each["part"]: each["state"] for each in found} for found in (without, with_demo)]

    assert [each["endpoints"] for each in states] == ["note", "ok"]
    assert "rapport up --demo" in next(e["detail"] for e in with_demo if e["part"] == "endpoints")


def test_benchmarks_that_are_not_there_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come with the source, and not with the package."""
    monkeypatch.setattr("streams.commands.bench.CHECKOUT", Path("nowhere"))
    result = called("bench", "step")

    assert result.exit_code == 1
    assert "benchmarks come with the source" in result.stderr
