"""Overridden settings and the identity that follows from them."""

import subprocess
import sys
from typing import Any

import pytest

from vtab_harness import registry
from vtab_harness.api.errors import OptionError, PluginError, UnknownNameError
from vtab_harness.api.identity import LabelsIdentity, protocol_name
from vtab_harness.api.protocols import EvaluationProtocol
from vtab_harness.api.values import parse_overrides
from vtab_harness.protocols.knn import NearestNeighbours
from vtab_harness.protocols.settings import build_protocol, identity, overridden


def name(protocol: EvaluationProtocol) -> str:
    return protocol_name(identity(protocol), LabelsIdentity())


def test_defaults_have_the_plain_identity() -> None:
    assert name(build_protocol("finetune", {})) == "finetune-v1"
    assert name(build_protocol("linear", {})) == "linear-v1"


def test_settings_of_our_protocols_are_known_without_torch() -> None:
    code = (
        "import sys\nfrom vtab_harness.builtin import NAMES\n"
        "from vtab_harness.protocols.settings import build_protocol\n"
        "print([build_protocol(name, {}).grid() for name in NAMES['protocols']] and 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_setting_the_default_value_changes_nothing() -> None:
    assert name(build_protocol("finetune", {"batch_size": "512"})) == "finetune-v1"


def test_an_override_is_another_identity_whatever_its_spelling() -> None:
    text, value = (
        build_protocol("finetune", {"lr": "0.1,0.01,0.001"}),
        build_protocol("finetune", {"lr": [0.1, 0.01, 0.001]}),
    )
    assert identity(text) == identity(value)
    assert name(text).startswith("finetune-v1-modified-")
    assert identity(text) != identity(build_protocol("finetune", {"lr": "0.1"}))
    assert overridden(text) == {"lr": (0.1, 0.01, 0.001)}


def test_single_value_for_a_list_setting() -> None:
    assert build_protocol("finetune", {"steps": "200"}).settings.steps == (200,)
    assert build_protocol("finetune", {"steps": 200}).settings.steps == (200,)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"step": "200"}, "Did you mean steps"),
        ({"steps": "many"}, "expected a whole number"),
        ({"steps": "1.5"}, "expected a whole number"),
        ({"momentum": "true"}, "expected a number"),
        ({"nothing_like_it_xyz": "1"}, "It has: lr"),
        ({"batch_size": "0"}, "batch_size"),
        ({"steps": ""}, "steps"),
        ({"lr": "nan"}, "lr"),
        ({"decay_at": "2"}, "decay_at"),
        ({"steps": "9" * 400}, "expected a whole number"),
        ({"steps": "0x" + "f" * 5000}, "expected a whole number"),
        ({"steps": "inf"}, "expected a whole number"),
        ({"steps": "(" * 300}, "expected a whole number"),
        ({"momentum": "9" * 400}, "expected a number"),
        ({"momentum": "1e999"}, "expected a number"),
        ({"momentum": float("inf")}, "expected a number"),
    ],
)
def test_wrong_overrides_are_named(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build_protocol("finetune", overrides)


def test_the_grid_has_an_end() -> None:
    with pytest.raises(OptionError, match="l2_count from 1 to 10000"):
        build_protocol("linear", {"l2_count": "2000000000"})


def test_unknown_protocol() -> None:
    with pytest.raises(UnknownNameError, match="finetune"):
        build_protocol("fine-tune", {})


@pytest.mark.parametrize("text", ["steps", "=3"])
def test_override_without_key_or_value(text: str) -> None:
    with pytest.raises(OptionError, match="expected key=value"):
        parse_overrides([text])


def test_override_given_twice() -> None:
    with pytest.raises(OptionError, match="twice"):
        parse_overrides(["steps=1", "steps=2"])


class Whole(NearestNeighbours):
    """Keeps the contract; each case below takes one thing away."""

    name = "whole"


def raising(self: Any) -> Any:
    raise ZeroDivisionError("no grid today")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": None}, r"is not a protocol: it has no grid\(\)"),
        ({"training_images": 0}, r"it has no training_images\(\)"),
        ({"name": "other"}, "it calls itself 'other' and is registered as 'whole'"),
        ({"version": "1"}, "has version='1'"),
        ({"version": True}, "has version=True"),
        ({"summary": 3}, "has summary=3"),
        ({"consumes": "pixels"}, "has consumes='pixels'"),
        ({"seeds": 0}, "has seeds=0"),
        ({"__init__": lambda self, settings=None: setattr(self, "settings", {"k": 1})}, r"has settings=\{'k': 1\}"),
        ({"__init__": lambda self, settings=None: None}, "'whole' has no settings"),
        ({"__init__": lambda self: None}, "'whole' of this test cannot be made: TypeError"),
        ({"grid": raising}, r"its grid\(\) fails with ZeroDivisionError: no grid today"),
        ({"grid": lambda self: []}, r"its grid\(\) is empty"),
        ({"grid": lambda self: [{"k": 1}, {"k": 1}]}, r"its grid\(\) lists a trial twice"),
        ({"grid": lambda self: [{"k": object()}]}, r"its grid\(\) fails with TypeError"),
        ({"grid": lambda self: None}, r"its grid\(\) fails with TypeError"),
    ],
)
def test_a_protocol_that_breaks_its_contract_is_named(changes: dict[str, Any], message: str) -> None:
    broken = type("Whole", (Whole,), changes)
    # Some of it shows when it is registered, the rest when it is made.
    with pytest.raises(PluginError, match=message), registry.protocols.registered("whole", broken, "this test"):
        build_protocol("whole", {})


def test_a_grid_may_refuse_settings_in_its_own_words() -> None:
    class Fussy(Whole):
        def grid(self) -> Any:
            raise OptionError("whole: k is above the 5 that there are.")

    with pytest.raises(OptionError, match="above the 5"), registry.protocols.registered("whole", Fussy):
        build_protocol("whole", {"k": "7"})
