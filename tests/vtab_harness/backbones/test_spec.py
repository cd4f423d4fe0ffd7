from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.api.backbones import Transform
from vtab_harness.api.errors import OptionError, UnknownNameError
from vtab_harness.backbones import options
from vtab_harness.backbones.spec import build, load, parse

PREFIX = st.text(string.ascii_lowercase + "-", min_size=1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(PREFIX, TEXT, st.dictionaries(TEXT, TEXT))
def test_what_is_built_is_read_back(prefix: str, name: str, pairs: dict[str, str]) -> None:
    spec = parse(build(prefix, name, pairs))
    assert (spec.prefix, spec.name, spec.options) == (prefix, name, pairs)


@pytest.mark.parametrize(
    ("text", "name", "pairs"),
    [
        ("timm:resnet50.a1_in1k", "resnet50.a1_in1k", {}),
        ("timm:resnet50?", "resnet50", {}),
        ("local-dir:/path/with:colon", "/path/with:colon", {}),
        ("local-dir:C:\\models\\a", "C:\\models\\a", {}),
        ("timm:a?checkpoint=/x/y%20z+1.pt&pool=", "a", {"checkpoint": "/x/y z+1.pt", "pool": ""}),
        ("timm:a?b=c=d:e", "a", {"b": "c=d:e"}),
        ("  timm:a?b=1\n", "a", {"b": "1"}),
    ],
)
def test_parts(text: str, name: str, pairs: dict[str, str]) -> None:
    spec = parse(text)
    assert (spec.text, spec.name, dict(spec.options)) == (text, name, pairs)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("resnet50", "timm:resnet50"),
        ("resnet50?checkpoint=a:b", "timm:resnet50"),
        ("models/mine", "local-dir:models/mine"),
        ("", "timm:NAME"),
        (":resnet50", "timm:resnet50"),
        ("timm:", "no name"),
        ("timm:?a=1", "no name"),
        ("timm:a?b", "'b'"),
        ("timm:a?=1", "'=1'"),
        ("timm:a?b=1&", "''"),
        ("timm:a?b=1&%62=2", "'b' twice"),
    ],
)
def test_slips_are_named(text: str, says: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(text)
    assert says in str(caught.value)


def test_unknown_prefix_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'timm'"):
        load("tim:resnet18")


@pytest.mark.parametrize(
    ("text", "size"), [("64", (64, 64)), ("64x96", (64, 96)), ("3,64,96", (64, 96)), ("(3, 64, 96)", (64, 96))]
)
def test_image_sizes(text: str, size: tuple[int, int]) -> None:
    assert options.image_size("input_size", text) == size


@pytest.mark.parametrize("pair", ["input_size=", "input_size=0", "input_size=1,64,64", "input_size=1x2x3x4", "mean=a"])
@pytest.mark.parametrize("other", ["mean=1,2", "std=0", "std=nan", "std=1,-1,1", "mean=inf"])
def test_bad_transform_options_are_named(pair: str, other: str) -> None:
    for text in (pair, other):
        key, _, value = text.partition("=")
        with pytest.raises(OptionError, match=key):
            options.split_transform({key: value})


def test_transform_overrides_and_literals() -> None:
    overrides, rest = options.split_transform({"mean": "0.5", "std": "0.1,0.2,0.3", "a": "1"})
    assert rest == {"a": "1"}
    assert overrides.apply(Transform((32, 48))) == Transform((32, 48), (0.5, 0.5, 0.5), (0.1, 0.2, 0.3))
    read = {
        text: options.literal(text) for text in ("1", "1e-3", "true", "False", "none", "(1, 2)", "same", "'1'", "a b")
    }
    assert list(read.values()) == [1, 1e-3, True, False, None, (1, 2), "same", "1", "a b"]
    with pytest.raises(OptionError, match="pretrained"):
        options.switch("pretrained", "maybe")
    with pytest.raises(OptionError, match="seed"):
        options.seed({"seed": "-1"})


def test_resize_rule_is_an_override_like_the_others() -> None:
    overrides, rest = options.split_transform({"resize": "bicubic", "depth": "3"})
    assert overrides.apply(Transform()) == Transform(resize="bicubic")
    assert rest == {"depth": "3"}
    with pytest.raises(OptionError, match=r"resize='lanczos' is not a resize rule.\nWrite legacy-bilinear or bicubic"):
        options.split_transform({"resize": "lanczos"})
