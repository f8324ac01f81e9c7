"""The trace: what happened, in order; the same seed gives the same trace."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

LINES_MAX: Final = 400  # of those that are shown


@dataclass(slots=True)
class Trace:
    lines: list[tuple[int, str, str, tuple[object, ...]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    first_wrong: int | None = None  # its line

    def note(self, now_ms: int, who: str, what: str, *about: object) -> None:
        self.lines.append((now_ms, who, what, about))

    def accuse(self, now_ms: int, sentence: str) -> None:
        """Something is not as promised."""
        self.note(now_ms, "WRONG", sentence)
        self.wrong.append(sentence)
        if self.first_wrong is None:
            self.first_wrong = len(self.lines)

    def digest(self) -> str:
        """Two runs that did the same have the same."""
        return hashlib.blake2b(
            "\n".join(map(_line, self.lines)).encode(), digest_size=8
        ).hexdigest()

    def shown(self) -> str:
        """The lines up to the first thing that is wrong."""
        end = len(self.lines) if self.first_wrong is None else self.first_wrong
        return "\n".join(map(_line, self.lines[max(0, end - LINES_MAX) : end]))


def _line(line: tuple[int, str, str, tuple[object, ...]]) -> str:
    now_ms, who, what, about = line
    return " ".join([f"{now_ms:>7} {who:6} {what}", *map(_word, about)])


def _word(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
