"""Messages say what the caller would write."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vtab_harness
from vtab_harness.api.errors import OptionError, VtabError
from vtab_harness.api.settings import options_of
from vtab_harness.notebook.words import in_words_of_python, words_of_python
from vtab_harness.sweep.settings import RunSettings


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("--batch-size 0: must be 1 or more.", "batch_size=0: must be 1 or more."),
        ("--backbone is missing.", "backbones is missing."),
        ("--device cuda:7: there is no such device here.", "device=cuda:7: there is no such device here."),
        ("Choose one with --variant, or name it with --data.", "Choose one with variant, or name it with data."),
        ("use what is prepared, leave --data out.", "use what is prepared, leave data out."),
        ("--micro-batch 32 adds up the gradients", "micro_batch=32 adds up the gradients"),
        ("Leave --via out, or --study FILE", "Leave --via out, or --study FILE"),
        ("/home/me/a--data/x and --dataset", "/home/me/a--data/x and --dataset"),
        ("For instance --backbone timm:resnet50.a1_in1k.", "For instance backbones='timm:resnet50.a1_in1k'."),
    ],
)
def test_options_become_arguments(said: str, meant: str) -> None:
    assert in_words_of_python(said) == meant


@given(st.text(max_size=60))
def test_what_names_no_option_stays(text: str) -> None:
    if "--" not in text:
        assert in_words_of_python(text) == text


def test_no_option_is_left_in_a_message() -> None:
    for option in options_of(RunSettings):
        flag = f"--{option.name.replace('_', '-')}"
        assert in_words_of_python(f"Give {flag}.") == f"Give {option.name}."


def test_both_parts_and_the_kind_of_the_error_stay() -> None:
    with pytest.raises(OptionError, match=r"^seeds=0: none\.\nLeave seeds out\.$") as raised, words_of_python():
        raise OptionError("--seeds 0: none.", "Leave --seeds out.")
    assert (raised.value.message, raised.value.hint) == ("seeds=0: none.", "Leave seeds out.")


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"seeds": -1},
        {"tasks": "mini_tissue", "suite": "mini"},
        {"device": "cuda:99"},
        {"precision": "fp8"},
        {"train_examples": "few"},
        {"set": {"k": object()}},
    ],
)
def test_evaluate_says_no_option_of_the_command_line(wrong: dict[str, object], tmp_path: Path) -> None:
    options = {"tasks": "mini_tissue", "results": tmp_path, "cache": tmp_path / "cache"} | wrong
    with pytest.raises(VtabError) as raised:
        vtab_harness.evaluate("timm:test_resnet?pretrained=false&input_size=32", **options)
    assert "--" not in str(raised.value)
    assert next(iter(wrong)) in str(raised.value)


def test_a_function_with_arguments_of_its_own() -> None:
    @words_of_python("margin")
    def check(margin: float) -> None:
        raise OptionError(f"--margin {margin}: too large.", "See --suite, or --baseline.")

    with pytest.raises(OptionError, match=r"^margin=9.5: too large\.\nSee suite, or --baseline\.$"):
        check(9.5)
