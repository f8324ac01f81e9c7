"""POST /v1/events: 200 means durable, and everything else means that it may be sent again."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from io import BytesIO

import pytest

from streams import intake
from streams.ingest import BODY_BYTES_MAX
from streams.web import application
from tests.corpus import POISON, record
from tests.streams.web_fakes import LOOPBACK, World, calling, opened

PATH = "/v1/events"


async def test_a_good_event_is_in_the_log_before_the_answer() -> None:
    """With the very bytes that were sent: what we do not know we do not change."""
    world, sent = World(), record(id="e-9", unknown={"a": 1})
    async with opened(world) as client:
        answer = await client.post(PATH, data=sent)

        assert answer.status == 200
        assert await answer.json() == {"accepted": 1, "rejected": []}
        assert [(event.id, value) for event, value in world.log.records] == [("e-9", sent)]


async def test_of_a_mixed_body_the_good_are_kept_and_the_bad_are_listed() -> None:
    """The sender mends what is listed and sends only that."""
    world = World()
    body = b"[" + b",".join([record(id="1"), record(amount=-1), record(id="3"), b"{}"]) + b"]"
    async with opened(world) as client:
        answer = await client.post(PATH, data=body, headers={"Content-Type": "application/json"})
        told = await answer.json()

    assert answer.status == 200
    assert told["accepted"] == 2
    assert [(bad["index"], bad["reason"], bad["field"]) for bad in told["rejected"]] == [
        (1, "out_of_range", "amount"),
        (3, "missing", "id"),
    ]
    assert told["rejected"][0]["detail"].startswith("amount is -1; it must be a number from 0")
    assert [event.id for event, _ in world.log.records] == ["1", "3"]


async def test_when_nothing_was_accepted_the_answer_is_an_error_with_the_same_list() -> None:
    """A sender who looks at the status alone must not believe that all is well."""
    world = World()
    async with opened(world) as client:
        answer = await client.post(PATH, data=b'{"id": 7}')
        told = await answer.json(content_type="application/problem+json")

    assert answer.status == told["status"] == 422
    assert told["type"] == "urn:rapport:problem:rejected"
    assert (told["accepted"], told["rejected"][0]["field"]) == (0, "id")
    assert told["detail"].startswith("the event was not accepted: id is 7")
    assert world.log.records == []


@pytest.mark.slow
async def test_every_poisoned_record_is_refused_and_the_next_one_is_served() -> None:
    """Whatever is sent, the answer is an error of the sender's, and the application goes on."""
    world = World()
    async with opened(world) as client:
        for poison in POISON:
            if poison.name == "an array":  # one record that is an array is poison, a body is not
                continue
            answer = await client.post(PATH, data=BytesIO(poison.value or b""))
            assert answer.status in {400, 413, 422}, poison.name
            assert answer.content_type == "application/problem+json"
        assert world.log.records == []
        assert (await client.post(PATH, data=record())).status == 200


@pytest.mark.parametrize("auto_decompress", [False, True])
async def test_gzip_is_understood_whoever_inflates_it(auto_decompress: bool) -> None:
    """The library inflates by default, without our bounds; another runner may leave it so."""
    world = World()
    made = application(world.ports(), LOOPBACK, None)
    async with calling(made, auto_decompress=auto_decompress) as client:
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-ndjson"}
        body = gzip.compress(record(id="1") + b"\n" + record(id="2"))
        answer = await client.post(PATH, data=body, headers=headers)

        assert await answer.json() == {"accepted": 2, "rejected": []}


async def test_an_encoding_that_we_do_not_know_is_named() -> None:
    """Else it would be reported as bytes that are not UTF-8."""
    async with opened(World()) as client:
        answer = await client.post(PATH, data=b"x", headers={"Content-Encoding": "zstd"})

        assert answer.status == 415
        assert answer.headers["Accept-Encoding"] == "gzip"


async def test_a_body_that_is_too_large_is_refused_with_and_without_its_length() -> None:
    """The length is what a sender says; the bytes are what comes."""

    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 65_536 + 1):
            yield b" " * 65_536

    world = World()
    async with opened(world) as client:
        announced = await client.post(PATH, data=BytesIO(b" " * (BODY_BYTES_MAX + 1)))
        counted = await client.post(PATH, data=unannounced())

        assert (announced.status, counted.status) == (413, 413)
        assert (await client.post(PATH, data=record())).status == 200


async def test_a_bomb_is_refused() -> None:
    """16 MB of zeros in 16 KB."""
    async with opened(World()) as client:
        headers = {"Content-Encoding": "gzip"}
        answer = await client.post(PATH, data=gzip.compress(bytes(16_000_000)), headers=headers)

        assert answer.status == 413


async def test_a_full_log_asks_to_come_back() -> None:
    """Backpressure reaches the sender; nothing is buffered here."""
    world = World()
    world.log.capacity = 1
    async with opened(world) as client:
        assert (await client.post(PATH, data=record(id="1"))).status == 200
        answer = await client.post(PATH, data=record(id="2"))

        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert (await answer.json(content_type=None))["reason"] == "log_full"
        assert len(world.log.records) == 1


@pytest.mark.parametrize("way", ["fails", "hangs"])
async def test_when_the_log_does_not_say_that_it_has_them_nor_do_we(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 means durable. The ids make it safe to send all of it again."""
    monkeypatch.setattr(intake, "APPEND_SECONDS_MAX", 0.0)
    world = World()
    setattr(world.log, way, True)
    async with opened(world) as client:
        answer = await client.post(PATH, data=record())

        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert b"ingest_events_total 0.0" in world.metrics.text()[1]


async def test_all_requests_together_hold_no_more_than_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many large bodies at once are how a gateway runs out of memory."""
    world = World()
    async with opened(world) as client:
        monkeypatch.setattr(intake, "BODIES_BYTES_MAX", 1_000)
        refused = await client.post(PATH, data=record().ljust(1_001))
        inflated = await client.post(PATH, data=gzip.compress(record(page="x" * 1_000)))
        for number in range(20):  # what a request held is given back
            kept = await client.post(PATH, data=record(id=str(number)))
            assert kept.status == 200

    assert (refused.status, inflated.status) == (503, 503)


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow senders must not hold what others need."""
    monkeypatch.setattr(intake, "BODY_SECONDS_MAX", 0.0)
    answered = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await answered.wait()

    async with opened(World()) as client:
        answer = await client.post(PATH, data=slow())
        answered.set()

        assert answer.status == 408


async def test_a_body_too_large_to_parse_in_passing_is_parsed_all_the_same() -> None:
    """It goes another way: through a thread."""
    world = World()
    values = [record(id=str(number)) for number in range(1_000)]
    async with opened(world) as client:
        answer = await client.post(PATH, data=b"\n".join(values))

        assert await answer.json() == {"accepted": 1_000, "rejected": []}
    assert [value for _, value in world.log.records] == values


async def test_what_the_log_refuses_is_listed_among_what_was_rejected() -> None:
    """By its index in the body, although the log saw neither the bad ones nor the whole."""
    world = World()
    world.log.refuses = {"0", "1200"}
    lines = [record(id=str(number)) for number in range(2_100)]
    lines[1] = b"{}"
    async with opened(world) as client:
        told = await (await client.post(PATH, data=b"\n".join(lines))).json()

    assert world.log.calls == [1_000, 1_000, 99]
    assert told["accepted"] == len(world.log.records) == 2_097
    assert [(bad["index"], bad["reason"]) for bad in told["rejected"]] == [
        (0, "log"),
        (1, "missing"),
        (1_200, "log"),
    ]


async def test_no_call_to_the_log_has_more_bytes_than_it_takes() -> None:
    """A producer refuses a larger one whole."""
    world = World()
    lines = [record(id=str(number), unknown="x" * 30_000) for number in range(100)]
    async with opened(world) as client:
        assert (await client.post(PATH, data=BytesIO(b"\n".join(lines)))).status == 200

    assert world.log.calls == [34, 34, 32]
    assert [value for _, value in world.log.records] == lines


async def test_many_large_bodies_at_once_are_all_taken() -> None:
    """The bound is on what they are, not on what they might have been."""
    world, count = World(), 24
    lines = b"\n".join(record(id=str(number)) for number in range(1_000))
    async with opened(world) as client:
        answers = await asyncio.gather(
            *(client.post(PATH, data=body) for body in [lines, gzip.compress(lines)] * (count // 2))
        )

    assert {answer.status for answer in answers} == {200}
    assert len(world.log.records) == count * 1_000


async def test_a_missing_id_is_filled_in_only_when_asked_for() -> None:
    """And then such that a repetition has the same one."""
    world = World()
    async with opened(world) as client:
        plain = await client.post(PATH, data=record(id=None))
        filled = [await client.post(PATH + "?fill=1", data=record(id=None)) for _ in range(2)]

    assert plain.status == 422
    assert [answer.status for answer in filled] == [200, 200]
    assert world.log.records[0] == world.log.records[1]
    assert json.loads(world.log.records[0][1])["id"] == world.log.records[0][0].id


@pytest.mark.parametrize(
    ("given", "status"), [("yes", 200), ("true", 200), ("0", 422), ("no", 422)]
)
async def test_filling_in_may_be_asked_for_in_words(given: str, status: int) -> None:
    """What was asked for and passed over in silence is looked for for an hour."""
    async with opened(World()) as client:
        answer = await client.post(PATH, params={"fill": given}, data=record(id=None))

    assert answer.status == status


async def test_a_fill_that_is_neither_yes_nor_no_is_refused() -> None:
    """Nothing is taken in with a guess about what the sender meant."""
    world = World()
    async with opened(world) as client:
        answer = await client.post(PATH, params={"fill": "perhaps"}, data=record())
        told = await answer.json()

    assert (answer.status, told["reason"]) == (400, "bad_fill")
    assert told["detail"] == "fill is 'perhaps'; it must be 1 or 0"
    assert not world.log.records


async def test_a_body_that_is_said_to_be_gzip_and_is_not_is_told_so() -> None:
    """Else the sender is told of bad JSON, and looks at the wrong end."""
    headers = {"Content-Encoding": "gzip"}
    async with opened(World()) as client:
        answer = await client.post(PATH, data=b"\x28\xb5\x2f\xfd zstd", headers=headers)
        told = await answer.json()

    assert (answer.status, told["reason"]) == (400, "malformed")
    assert "Content-Encoding is gzip, but the body is not gzip" in told["detail"]


async def test_what_was_sent_is_counted() -> None:
    """By reason, so that a sender's mistake is seen on a dashboard."""
    world = World()
    async with opened(world) as client:
        await client.post(PATH, data=b"\n".join([record(), record(id=""), b"{"]))
    _, text = world.metrics.text()

    assert b"rapport_ingest_events_total 1.0" in text
    assert b'rapport_ingest_rejections_total{reason="missing"} 1.0' in text
    assert b'rapport_ingest_rejections_total{reason="malformed"} 1.0' in text
    assert b'method="POST",route="/v1/events",status="200"} 1.0' in text
