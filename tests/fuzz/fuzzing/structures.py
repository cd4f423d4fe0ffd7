"""JSON and TOML whose structure is damaged, so that parsers accept what readers do not expect."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Callable
from random import Random
from typing import Any

from fuzzing.damage import damaged

CONTROL = "\x1b]0;title\x07\x1b[2J\x00\r\n\u202e\u2028"
SURROGATE = "\udc80\ud800"
_ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    3.5,
    2**31,
    2**63,
    2**64,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "0",
    "../../etc/passwd",
    "/dev/zero",
    "%s%n{0.__class__}",
    CONTROL,
    SURROGATE,
    "é\u0301\u200d🏳️‍🌈",
    "x" * 10_000,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"schema": {}},
    list(range(300)),
)
_KEYS = ("", " ", "__class__", "self", "name", CONTROL, SURROGATE, "x" * 5_000, "0")
Path = tuple[Any, ...]


def json_damaged(rng: Random, data: bytes) -> bytes:
    """Returns JSON with its structure damaged, and now and then its bytes as well."""
    try:
        value = json.loads(data)
    except ValueError:
        return damaged(rng, data)
    text = _as_json(rng, value_damaged(rng, value))
    found = text.encode("utf-8", "surrogatepass")
    return damaged(rng, found) if rng.random() < 0.25 else found


def json_lines_damaged(rng: Random, data: bytes) -> bytes:
    """The same for a file with a JSON value in each line."""
    lines = data.splitlines()
    if lines:
        at = rng.randrange(len(lines))
        lines[at] = json_damaged(rng, lines[at])
    return b"\n".join(lines) + rng.choice((b"", b"\n"))


def toml_damaged(rng: Random, data: bytes) -> bytes:
    """The same for TOML."""
    value = value_damaged(rng, tomllib.loads(data.decode()))
    text = _as_toml(value) if isinstance(value, dict) else f"value = {_toml(value)}\n"
    if rng.random() < 0.1:
        text += rng.choice(("x = " + "[" * 5_000, "x = 0x" + "f" * 10_000, "x = 1979-05-27T07:32:00Z", "a.b.c = 1"))
    found = text.encode("utf-8", "surrogatepass")
    return damaged(rng, found) if rng.random() < 0.25 else found


def value_damaged(rng: Random, value: Any) -> Any:
    """Returns a copy of a JSON value with one to three things done to it."""
    value = json.loads(json.dumps(value, default=str))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return _odd(rng)
        # As often near the top, where most readers look, as anywhere.
        shallow = [place for place in places if len(place) == 1]
        path = rng.choice(shallow if shallow and rng.random() < 0.4 else places)
        if rng.random() < 0.03:
            value = _odd(rng)
        else:
            rng.choice(_OPERATIONS)(rng, value, path)
    return value


def _odd(rng: Random) -> Any:
    # Copied, since what is added to one input must not be in the next.
    return copy.deepcopy(rng.choice(_ODD))


def _places(value: Any, path: Path = ()) -> Any:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from _places(inner, (*path, key))


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _remove(rng: Random, value: Any, path: Path) -> None:
    del _at(value, path[:-1])[path[-1]]


def _replace(rng: Random, value: Any, path: Path) -> None:
    _at(value, path[:-1])[path[-1]] = _odd(rng)


def _retype(rng: Random, value: Any, path: Path) -> None:
    """Puts the value in another type: text for a number, a list around it, its only member in its place."""
    holder, found = _at(value, path[:-1]), _at(value, path)
    if isinstance(found, str):
        new: Any = rng.choice(([found], list(found[:20]), {found[:20]: found}, len(found)))
    elif isinstance(found, dict):
        new = rng.choice(([found], list(found), list(found.items()), str(found)[:100]))
    elif isinstance(found, list):
        new = rng.choice((found[0] if found else None, dict(enumerate(found)), [found], str(found)[:100]))
    else:
        new = rng.choice((str(found), [found], {"value": found}, [found, found]))
    holder[path[-1]] = new


def _nudge(rng: Random, value: Any, path: Path) -> None:
    """Changes the value within its type."""
    holder, found = _at(value, path[:-1]), _at(value, path)
    if isinstance(found, bool):
        new: Any = not found
    elif isinstance(found, int):
        new = rng.choice((found + 1, found - 1, -found, found * 10, found * 1000, found**3, 0, 2**40))
    elif isinstance(found, float):
        new = rng.choice((-found, found * 1e6, found / 1e6, 0.0, found // 1, found + 1e-6))
    elif isinstance(found, str):
        new = rng.choice((found.upper(), found[:-1], found + "x", found * 100, f"{found}\n{found}", found[::-1]))
    elif isinstance(found, list):
        new = rng.choice((found[:-1], found + found, found[::-1], found * 50, [*found, _odd(rng)]))
    else:
        new = _odd(rng)
    holder[path[-1]] = new


def _rename(rng: Random, value: Any, path: Path) -> None:
    holder = _at(value, path[:-1])
    if isinstance(holder, dict):
        holder[rng.choice(_KEYS)] = holder.pop(path[-1])


def _add(rng: Random, value: Any, path: Path) -> None:
    holder = _at(value, path[:-1])
    if isinstance(holder, dict):
        holder[rng.choice(_KEYS)] = _odd(rng)
    else:
        holder.insert(rng.randrange(len(holder) + 1), _odd(rng))


def _swap(rng: Random, value: Any, path: Path) -> None:
    """Puts the value of another place here."""
    other = rng.choice(list(_places(value)))
    copied = json.loads(json.dumps(_at(value, other)))
    _at(value, path[:-1])[path[-1]] = copied


def _nest(rng: Random, value: Any, path: Path) -> None:
    found = _at(value, path)
    for _ in range(rng.choice((2, 50))):
        found = [found] if rng.random() < 0.5 else {"inner": found}
    _at(value, path[:-1])[path[-1]] = found


_OPERATIONS: tuple[Callable[[Random, Any, Path], None], ...] = (
    _remove,
    _remove,
    _replace,
    _replace,
    _replace,
    _retype,
    _retype,
    _nudge,
    _nudge,
    _rename,
    _add,
    _swap,
    _nest,
)


def _as_json(rng: Random, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    luck = rng.random()
    if luck < 0.03:
        deep = rng.choice((1_000, 200_000))
        text = text.replace("null", "0", 1)
        return text[:-1] + ',"deep":' + "[" * deep + "]" * deep + "}" if text.endswith("}") else "[" * deep
    if luck < 0.06 and isinstance(value, dict) and value:
        # The same key twice: what a reader takes and what a person sees may differ.
        key = rng.choice(list(value))
        return f"{{{json.dumps(key)}: {json.dumps(_odd(rng))}, {text[1:]}"
    if luck < 0.09:
        return text.replace("0", "9" * rng.choice((400, 6_000)), 1)
    return text


def _as_toml(value: dict[str, Any]) -> str:
    plain = [f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items() if not isinstance(v, dict)]
    tables = [
        f"\n[{_toml_key(k)}]\n" + "\n".join(f"{_toml_key(i)} = {_toml(v)}" for i, v in inner.items())
        for k, inner in value.items()
        if isinstance(inner, dict)
    ]
    return "\n".join(plain + tables) + "\n"


def _toml_key(key: str) -> str:
    return json.dumps(key)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if value is None:
        return '"none"'
    if isinstance(value, float):
        return {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(json.dumps(value), json.dumps(value))
    # TOML has no surrogates, and JSON's other escapes.
    return json.dumps(value)
