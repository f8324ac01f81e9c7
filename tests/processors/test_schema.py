"""The JSON Schema tells senders what the decoder will accept."""

import json
from typing import Any

import pytest

from processors.event import Event
from processors.schema import json_schema
from tests.corpus import ODD, POISON, Poison

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
    "object": (dict,),
    "boolean": (bool,),
}
UNDERSTOOD = {
    *("$schema", "title", "description", "default", "additionalProperties", "then"),
    *("type", "enum", "const", "minimum", "maximum", "minLength", "maxLength"),
    *("anyOf", "allOf", "if", "required", "properties", "propertyNames", "maxProperties"),
}


def valid(schema: dict[str, Any], value: Any) -> bool:  # noqa: ANN401  any JSON
    """JSON Schema's definition of the keywords that ours uses, the slow and obvious way."""
    assert set(schema) <= UNDERSTOOD
    if "type" in schema and (
        not isinstance(value, TYPES[schema["type"]])
        or (isinstance(value, bool) and schema["type"] in {"integer", "number"})
    ):
        return False
    checks = [value in schema.get("enum", [value]), value == schema.get("const", value)]
    if isinstance(value, int | float):
        checks += [schema.get("minimum", value) <= value, value <= schema.get("maximum", value)]
    if isinstance(value, str):
        checks += [schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))]
    if isinstance(value, dict):
        checks += [name in value for name in schema.get("required", [])]
        checks += [len(value) <= schema.get("maxProperties", len(value))]
        checks += [valid(schema.get("propertyNames", {}), name) for name in value]
        others = schema.get("additionalProperties", {})
        checks += [
            valid(others, inner)
            for name, inner in value.items()
            if name not in schema.get("properties", {})
        ]
        checks += [
            valid(inner, value[name])
            for name, inner in schema.get("properties", {}).items()
            if name in value
        ]
    checks += [valid(inner, value) for inner in schema.get("allOf", [])]
    checks += [any(valid(inner, value) for inner in schema["anyOf"])] if "anyOf" in schema else []
    checks += (
        [not valid(schema["if"], value) or valid(schema["then"], value)] if "if" in schema else []
    )
    return all(checks)


def told(poison: Poison) -> bool:
    """Whether a schema can tell this fault: it sees values, neither bytes nor clocks."""
    in_values = {"wrong_type", "missing", "too_long", "out_of_range", "unknown_kind", "before_2000"}
    return poison.reason in in_values and poison.field != "attributes"


@pytest.mark.parametrize("name", ODD)
def test_what_is_good_is_good_by_the_schema(name: str) -> None:
    """A sender who checks first must not hold back what we would take."""
    assert valid(json_schema(), json.loads(ODD[name]))


@pytest.mark.parametrize(
    "poison", [each for each in POISON if told(each)], ids=lambda poison: poison.name
)
def test_what_the_schema_can_refuse_it_refuses(poison: Poison) -> None:
    """Else the schema would promise what the engine does not keep."""
    assert poison.value is not None
    assert not valid(json_schema(), json.loads(poison.value))


def test_every_field_is_described() -> None:
    """It is what a sender reads; a field without words is a question to us."""
    properties = json_schema()["properties"]

    assert set(properties) == set(Event.__struct_fields__)
    assert all(inner["description"] for inner in properties.values())
    assert sum(map(told, POISON)) >= 40
