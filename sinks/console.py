"""The console: an action as one line, for people on a terminal and for log collectors elsewhere.

Promise   One action is one line, whatever its texts hold: no control character reaches a terminal.
How       On a terminal a coloured sentence by rich, elsewhere the payload as one line of JSON.
Limits    Writing blocks the loop for as long as the terminal does.
Not here  The live view of `rapport up`.
"""

from rich.console import Console
from rich.text import Text

from rules.action import Action
from rules.duration import iso
from sinks import payload
from sinks.sink import Delivered, Receipt, RetryAfter


class ConsoleSink:
    def __init__(self, console: Console) -> None:
        self._console = console

    def body(self, action: Action) -> bytes:
        return payload.body(action)

    async def deliver(self, action: Action, body: bytes) -> Receipt:
        try:
            if self._console.is_terminal:
                self._console.print(line(action), soft_wrap=True)
            else:
                self._console.file.write(body.decode() + "\n")
                self._console.file.flush()
        except OSError as error:  # a closed pipe, a full disk
            return RetryAfter(f"the console cannot be written to: {error.strerror}")
        return Delivered()


def line(action: Action) -> Text:
    """What a person reads: when, what, who, why.

    Text, not a string, so that brackets in a reason are not taken for rich's markup.
    """
    parts = (
        (iso(action.at_ms) + " ", "dim"),
        (_flat(payload.kind(action)) + " ", "bold cyan"),
        (_flat(action.customer_id) + " ", "bold"),
        (_flat(action.reason), ""),
        (f"  {_flat(action.rule)} v{action.version}", "dim"),
    )
    return Text.assemble(*parts)


def _flat(words: str) -> str:
    return "".join(c if c.isprintable() else " " for c in words)
