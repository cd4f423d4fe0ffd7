"""Reads CLEVR's scene files one scene at a time: parsed at once, the largest takes more memory than all the rest."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import IO, Any

_START = re.compile(r'"scenes"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
_PART = 1 << 20
_LONGEST = 1 << 24
"""Characters of one scene, or of what comes before the first; the longest has a few thousand."""


def scenes(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Yields the members of the list ``scenes`` of a JSON object, in order.

    Raises:
        ValueError: It is no JSON of this form, or ends early.
    """
    text = io.TextIOWrapper(file, encoding="utf-8")
    decoder = json.JSONDecoder()
    buffer = text.read(_PART)
    while (match := _START.search(buffer)) is None:
        buffer = _longer(buffer, text)
    at = match.end()
    while True:
        between = _BETWEEN.match(buffer, at)
        at = between.end() if between else at
        if buffer.startswith("]", at):
            # To the end, so that a zip compares its checksum.
            while text.read(_PART):
                pass
            return
        try:
            scene, at = decoder.raw_decode(buffer, at)
        except json.JSONDecodeError:
            # Most likely cut by the end of the part.
            buffer, at = _longer(buffer[at:], text), 0
            continue
        if not isinstance(scene, dict):
            raise ValueError("a scene is not an object")
        yield scene


def _longer(buffer: str, text: io.TextIOWrapper) -> str:
    more = text.read(_PART)
    if not more:
        raise ValueError("the list of scenes is missing or ends early")
    if len(buffer) > _LONGEST:
        raise ValueError("the list of scenes is missing or malformed")
    return buffer + more
