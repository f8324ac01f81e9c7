"""`rapport schema`: the JSON Schema of an event."""

import json

import click


@click.command(short_help="Print the JSON Schema of an event.")
def schema() -> None:
    """Print the JSON Schema of an event, for senders who check before they send."""
    from processors.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
