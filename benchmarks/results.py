"""Results: printed for people or as JSON, and kept in results/ when asked."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("results")


def tell(name: str, figures: Mapping[str, object], *, json_out: bool, save: bool) -> None:
    """Print the figures; with `save`, also write them to results/NAME.json."""
    text = json.dumps(figures, indent=2, ensure_ascii=False) + "\n"
    if save:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
    if json_out:
        sys.stdout.write(text)
        return
    for key, figure in figures.items():
        if isinstance(figure, Mapping):
            sys.stdout.write(f"{key}\n")
            for inner, value in figure.items():
                sys.stdout.write(f"    {inner:24} {value}\n")
        else:
            sys.stdout.write(f"{key:28} {figure}\n")
