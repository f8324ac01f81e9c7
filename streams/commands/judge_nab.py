"""`rapport judge nab`: anomalies of a series, by the Numenta Anomaly Benchmark."""

from pathlib import Path

import click

from streams.commands.figures import judgement, tell


@click.command(short_help="Anomalies of a series: the Numenta Anomaly Benchmark.")
@judgement
def nab(data: Path, *, as_json: bool, no_bars: bool) -> None:
    """Judge the detector of series by the Numenta Anomaly Benchmark.

    DIR holds windows.json, and the series it names as CSV files with the columns timestamp and value.
    """
    from streams.judge_nab import judge

    tell(judge(data), as_json=as_json, no_bars=no_bars)
