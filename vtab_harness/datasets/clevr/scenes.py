"""Reads CLEVR's scene files one scene at a time: parsed at once, the largest takes more memory than all the rest."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import IO, Any

_START = re.compile(r'"scenes"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")


def scenes(file: IO[bytes], part: int = 1 << 20, longest: int = 1 << 24) -> Iterator[dict[str, Any]]:
    """Yields the members of the list ``scenes`` of a JSON object, in order.

    Args:
        file: The text.
        part: Characters that are read at once.
        longest: Characters of one scene, or of what comes before the first; CLEVR's longest has a few thousand.

    Raises:
        ValueError: It is no JSON of this form, or ends early.
    """
    text = io.TextIOWrapper(file, encoding="utf-8")
    decoder = json.JSONDecoder()

    def longer(buffer: str) -> str:
        more = text.read(part)
        if not more:
            raise ValueError("the list of scenes is missing or ends early")
        if len(buffer) > longest:
            raise ValueError("the list of scenes is missing or malformed")
        return buffer + more

    buffer = text.read(part)
    while (match := _START.search(buffer)) is None:
        buffer = longer(buffer)
    at = match.end()
    while True:
        between = _BETWEEN.match(buffer, at)
        at = between.end() if between else at
        if buffer.startswith("]", at):
            # To the end, so that a zip compares its checksum.
            while text.read(part):
                pass
            return
        try:
            scene, at = decoder.raw_decode(buffer, at)
        except json.JSONDecodeError:
            # Most likely cut by the end of the part.
            buffer, at = longer(buffer[at:]), 0
            continue
        if not isinstance(scene, dict):
            raise ValueError("a scene is not an object")
        yield scene
