"""JSON Schema in a few words, for a cell of a table."""

from typing import Any

from timer_protocol.plurals import counted

Schema = dict[str, Any]


def name_of(schema: Schema) -> str:
    """The name of the component that a schema refers to, or an empty text."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def type_of(schema: Schema, page: str = "") -> str:
    """The type, such as `string or null`. Components are links to a page."""
    if name := name_of(schema):
        return f"[{name}]({page}#{name.lower()})"
    if "anyOf" in schema:
        names = [type_of(part, page) for part in schema["anyOf"]]
        return " or ".join(name for name in names if name != "integer" or "number" not in names)
    kind = "string" if "enum" in schema else schema.get("type", "any JSON")
    if kind == "array":
        return f"array of {type_of(schema['items'], page)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_of(schema['additionalProperties'], page)}"
    return str(kind)


def bounds_of(schema: Schema) -> str:
    """What is allowed beyond the type, such as `1 to 128 characters`."""
    told = [bounds for part in schema.get("anyOf", [schema]) if (bounds := _bounds(part))]
    return " or ".join(dict.fromkeys(told))


def told(schema: Schema) -> str:
    """What the schema says about itself, its alternative to null or its items, as part of a sentence."""
    parts = [schema, *schema.get("anyOf", []), schema.get("items", {})]
    text = str(next((part["description"] for part in parts if "description" in part), "")).removesuffix(".")
    return text[:1].lower() + text[1:]


def _bounds(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    match schema.get("type"):
        case "string":
            return _range(schema.get("minLength"), schema.get("maxLength"), "character")
        case "array":
            each = bounds_of(schema["items"])
            items = _range(schema.get("minItems"), schema.get("maxItems"), "item")
            return ", ".join(filter(None, (items, each and f"each {each}")))
    if "exclusiveMinimum" in schema:
        return f"more than {schema['exclusiveMinimum']}"
    return _range(schema.get("minimum"), schema.get("maximum"))


def _range(least: int | None, most: int | None, unit: str = "") -> str:
    if least is None:
        return "" if most is None else f"at most {_counted(most, unit)}"
    return f"{_counted(least, unit)} or more" if most is None else f"{least} to {_counted(most, unit)}"


def _counted(number: int, unit: str) -> str:
    return counted(number, unit) if unit else str(number)
