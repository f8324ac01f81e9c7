"""The command line: `rapport`.

Promise   Names are stable. Exit codes: 0 ok, 1 found problems, 2 usage; who names a file or folder that
          is not there has called wrongly. An error is a sentence that says what, where and how to mend
          it; only a fault of ours shows a trace.
Not here  Each command: commands/.
"""

from typing import Any, Final

import click

from rules.errors import RulesError
from sinks.errors import SinksError
from streams.commands.bench import bench
from streams.commands.customer import customer
from streams.commands.dlq import dlq
from streams.commands.doctor import doctor
from streams.commands.endpoints import endpoints
from streams.commands.ingest import ingest
from streams.commands.judge import judge
from streams.commands.options import DISTRIBUTION, Problems, UsageError
from streams.commands.replay import replay
from streams.commands.rules import rules
from streams.commands.scale_out import gateway, relay, worker
from streams.commands.schema import schema
from streams.commands.topics import topics
from streams.commands.up import up
from streams.commands.why import why
from streams.errors import MissingError, StreamsError

EXPECTED: Final = (StreamsError, SinksError, RulesError)


class Commands(click.Group):
    """A group whose commands may raise what is expected to go wrong."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  as click has it
        """In the order in which they are added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  as click has it
        try:
            return super().invoke(ctx)
        except MissingError as error:
            raise UsageError(str(error)) from error
        except EXPECTED as error:
            raise Problems(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    package_name=DISTRIBUTION, prog_name="rapport", message="%(prog)s %(version)s"
)
def main() -> None:
    """Turn the stream of what customers do into the next right action."""


for each in (
    *(up, worker, gateway, relay),
    *(ingest, replay, customer, why, rules),
    *(topics, dlq, endpoints, judge, schema, doctor, bench),
):
    main.add_command(each)
