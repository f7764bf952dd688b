"""Writes sluice.yaml from Python values."""
import re

PLAIN = re.compile(r"^[A-Za-z0-9_./][A-Za-z0-9_./-]*$")
RESERVED = {"true", "false", "null", "yes", "no", "on", "off"}


def scalar(value):
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if PLAIN.match(value) and value.lower() not in RESERVED:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def lines(value, indent=0):
    pad = "  " * indent
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield f"{pad}{scalar(key)}:"
            yield from lines(item, indent + 1)
        elif isinstance(item, dict):
            yield f"{pad}{scalar(key)}: {{}}"
        elif isinstance(item, (list, tuple)):
            yield f"{pad}{scalar(key)}: [{', '.join(scalar(i) for i in item)}]"
        else:
            yield f"{pad}{scalar(key)}: {scalar(item)}"


def to_yaml(value):
    return "\n".join(lines(value)) + "\n"


def merge(base, changes):
    """A new tree: maps are merged, a value of None removes the key, everything else replaces."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result
