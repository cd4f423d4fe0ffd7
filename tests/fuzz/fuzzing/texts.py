"""Option strings and lists whose parts are left out, doubled, exchanged and replaced."""

from __future__ import annotations

import re
from random import Random

from fuzzing.damage import Mutator, damaged
from fuzzing.structures import CONTROL, SURROGATE

_WORDS = (
    "0",
    "-1",
    "1e999",
    "nan",
    "inf",
    "0x" + "f" * 5_000,
    "9" * 5_000,
    "1_000",
    "2000000000",
    "true",
    "None",
    "none",
    "()",
    "[" * 500,
    "{}",
    "(" * 100,
    "[1,2,3]",
    "{'a':1}",
    "b'x'",
    "1,2,3",
    ",",
    ",,",
    "1j",
    "%00",
    "%",
    "%ff%fe",
    "../..",
    "/dev/zero",
    "'" * 3,
    "x" * 5_000,
    "²",
    "１２",
    CONTROL,
    SURROGATE,
    "lambda: 0",
    "__import__('os')",
    "...",
    "=",
    "&",
    "?",
    ":",
    "::",
    "@",
    "5-shot",
    "all",
)
_DIGITS = re.compile(r"\d+")


def text_mutator(separators: str, words: tuple[str, ...] = ()) -> Mutator:
    """Returns a mutator of text.

    Args:
        separators: Characters between its parts; one that is given several times is chosen more often.
        words: More to put in a part's place, beside numbers, brackets and control characters.
    """

    def mutate(rng: Random, data: bytes) -> bytes:
        try:
            text = data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return damaged(rng, data)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            mark = rng.choice(separators)
            parts = text.split(mark)
            at = rng.randrange(len(parts))
            word = rng.choice((*_WORDS, *words))
            match rng.randrange(8):
                case 0:
                    del parts[at]
                case 1:
                    parts.insert(at, parts[rng.randrange(len(parts))])
                case 2 | 3:
                    parts[at] = word
                case 4:
                    parts.insert(at, word)
                case 5:
                    place = rng.randrange(len(parts[at]) + 1)
                    parts[at] = parts[at][:place] + word + parts[at][place:]
                case 6:
                    place = rng.randrange(len(parts[at]) + 1)
                    odd = rng.choice((0, 9, 10, 27, 58, 61, 0x2028, 0xDC80, 0x10FFFF))
                    parts[at] = parts[at][:place] + chr(odd) + parts[at][place:]
                case 7:
                    number = rng.choice(("0", "1", "2", "7", "100", "640", "1000000", "0.001", "-3", "1e-300"))
                    parts[at] = _DIGITS.sub(number, parts[at], count=1)
            text = mark.join(parts)
        return text.encode("utf-8", "surrogatepass")

    return mutate
