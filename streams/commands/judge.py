"""`rapport judge`: our scores over data that no one here made, beside the published figures.

Promise   Each command runs the product's own code over a folder of data, and prints its figures.
Not here  The judgements (judge_*.py); their options and output (figures.py).
"""

import click

from streams.commands.judge_btyd import btyd
from streams.commands.judge_nab import nab


@click.group(short_help="Hold our scores to public data and published figures.")
def judge() -> None:
    """Hold our scores to public data and published figures.

    Exit code 1 when a figure misses its bar; --no-bars only prints.
    """


for each in (nab, btyd):
    judge.add_command(each)
