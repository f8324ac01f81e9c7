"""`rapport judge btyd`: churn and value, by the CDNOW sample and what was published of it."""

import time
from pathlib import Path

import click

from streams import kernels
from streams.commands.figures import judgement, tell
from streams.commands.options import say


@click.command(short_help="Churn and value: CDNOW, published fits and a hold-out.")
@judgement
def btyd(data: Path, *, as_json: bool, no_bars: bool) -> None:
    """Judge the models of churn and value by CDNOW.

    DIR, or its subfolder cdnow, holds one file CDNOW*.txt, with a purchase in each line: customer, date, CDs
    and dollars. The first half of the weeks is fitted, the second half is foretold.
    """
    kernels.load(say)
    from streams.judge_btyd import judge

    figures = judge(data, time.time_ns() // 1_000_000)
    tell(figures, as_json=as_json, no_bars=no_bars)
