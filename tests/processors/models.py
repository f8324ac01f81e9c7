"""Model files for tests: the default with some values replaced."""

import importlib.resources
import re
from functools import partial


def model_text(**values: str) -> bytes:
    """The default model with the first `key = value` of each of these keys replaced.

    Text is put in quotes; numbers are given as text that starts with "=".
    """
    folder = importlib.resources.files("processors") / "models"
    text = (folder / "default.toml").read_text(encoding="utf-8")
    for key, value in values.items():
        written = value.removeprefix("=") if value.startswith("=") else f'"{value}"'
        text, count = re.subn(
            rf"(?m)^({key} *= *)(\S+)",
            partial(_with_value, written),
            text,
            count=1,
        )
        assert count == 1, f"the default model has no {key}"
    return text.encode()


def _with_value(written: str, found: re.Match[str]) -> str:
    return found[1] + written
