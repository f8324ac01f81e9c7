"""The scratch space of a step stays within its bound, however many rules there are."""

import weakref
from dataclasses import replace

import pytest

from processors.batch import RECORDS_MAX
from processors.plan import PlanBuilder
from streams.scratch import LARGE, PADDING, REGISTERS_BYTES_MAX, SMALL, Buffers, Scratch

PLAN = PlanBuilder().build()


def scratch_of(registers: int) -> Scratch:
    return Scratch(replace(PLAN, registers=registers))


def bytes_of(registers: int, events: int) -> int:
    """What the registers take: eight bytes for each of each event, and of the padding."""
    return 8 * registers * (events + PADDING)


def test_as_many_events_as_fit_are_stepped_at_once_and_never_fewer_than_large() -> None:
    """A worker of a thousand rules needs no more memory than was said; and it gets on."""
    for registers in range(20_001):
        count = scratch_of(registers).events_max
        more = count + LARGE

        assert count % LARGE == 0
        assert count == LARGE or bytes_of(registers, count) <= REGISTERS_BYTES_MAX
        assert count >= LARGE
        assert more > RECORDS_MAX or bytes_of(registers, more) > REGISTERS_BYTES_MAX
        assert count <= RECORDS_MAX


@pytest.mark.parametrize("registers", [7, 511, 512, 1_019, 1_363, 1_364, 2_043, 4_078])
@pytest.mark.parametrize("less", [0, 1, LARGE // 2])
def test_the_registers_of_a_large_batch_take_what_was_said(registers: int, less: int) -> None:
    """Buffers are rounded up, which must not lead over the bound."""
    scratch = scratch_of(registers)
    made = scratch.buffers(scratch.events_max - less).registers

    assert made.nbytes == bytes_of(registers, scratch.events_max) <= REGISTERS_BYTES_MAX


def test_where_large_does_not_fit_its_registers_take_more() -> None:
    """The bound gives way, and not the pace: by what the header of scratch.py says."""
    scratch = scratch_of(4_079)

    assert scratch.events_max == LARGE
    assert scratch.buffers(LARGE).registers.nbytes == 8 * 4_079 * (2_048 + 9) > REGISTERS_BYTES_MAX


def test_a_buffer_goes_before_a_larger_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both at once would be up to twice the bound."""
    scratch, make = scratch_of(10), Scratch._made
    small = weakref.ref(scratch.buffers(LARGE).registers)
    alive: list[bool] = []

    def watched(self: Scratch, size: int) -> Buffers:
        alive.append(small() is not None)
        return make(self, size)

    monkeypatch.setattr(Scratch, "_made", watched)
    scratch.buffers(LARGE + PADDING + 1)

    assert alive == [False]
    assert list(scratch.kept) == [LARGE]
    assert max(SMALL) < LARGE
