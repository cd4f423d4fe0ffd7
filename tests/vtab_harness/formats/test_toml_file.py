"""TOML files: whatever is wrong with one is a message that names it."""

from pathlib import Path

import pytest

from vtab_harness.api.errors import OptionError
from vtab_harness.formats.toml_file import read_toml


def test_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('a = 9223372036854775807\n[b]\nc = ["x", 0.5, true]\n')
    assert read_toml(tmp_path / "a.toml", "--study") == {"a": 2**63 - 1, "b": {"c": ["x", 0.5, True]}}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a = ", "not a TOML file"),
        (b'a = "\xff"', "not a TOML file"),
        (b"a = " + b"9" * 5000, "not a TOML file"),
        # Python parses these, and cannot print them.
        (b"a = 0x" + b"f" * 5000, "a number of more than 64 bits"),
        (b"a = {b = [1, 9223372036854775808]}", "a number of more than 64 bits"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b"#" * (1 << 21), "it has more than 1,048,576 bytes"),
        (None, "No such file"),
    ],
)
def test_damage_names_the_option_and_the_file(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionError, match=says) as caught:
        read_toml(path, "--settings")
    assert caught.value.message.startswith(f"--settings {path}: ")
