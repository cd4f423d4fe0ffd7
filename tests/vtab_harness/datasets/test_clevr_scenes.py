import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtab_harness.datasets.clevr.scenes import scenes

SCENES = st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=4), max_size=9)


@settings(max_examples=100, deadline=None)
@given(expected=SCENES, part=st.integers(1, 40), indent=st.sampled_from([None, 2]), ascii=st.booleans())
def test_equals_parsing_at_once(expected: list[dict[str, object]], part: int, indent: int | None, ascii: bool) -> None:
    text = json.dumps({"info": {"version": "1.0"}, "scenes": expected}, indent=indent, ensure_ascii=ascii)
    assert list(scenes(io.BytesIO(text.encode()), part)) == expected


@pytest.mark.parametrize("kept", range(0, 60, 3))
def test_every_truncation_is_noticed(kept: int) -> None:
    text = json.dumps({"info": {}, "scenes": [{"objects": [1, 2]}, {"objects": [3, 4]}]}).encode()
    assert kept < text.rindex(b"]")
    with pytest.raises(ValueError, match="scenes"):
        list(scenes(io.BytesIO(text[:kept])))


def test_endless_text_is_given_up() -> None:
    with pytest.raises(ValueError, match="malformed"):
        list(scenes(io.BytesIO(b'{"scenes": [' + b"nonsense" * 1000), part=100, longest=1000))
