"""Overriding a protocol's settings, and the identity that an overridden protocol carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vtab_harness import registry
from vtab_harness.api.backbones import BLOCKS, POOLED, TOKENS
from vtab_harness.api.contracts import is_settings, lacking
from vtab_harness.api.errors import PluginError, VtabError
from vtab_harness.api.identity import ProtocolIdentity, plain_json
from vtab_harness.api.protocols import EvaluationProtocol, trial_key
from vtab_harness.api.values import apply_overrides


def build_protocol(name: str, overrides: Mapping[str, Any]) -> EvaluationProtocol:
    """Builds a registered protocol with some settings overridden.

    Args:
        name: Registered name.
        overrides: Setting -> value; strings are read as the setting's type (``200``, ``0.1,0.01``, ``true``).

    Raises:
        UnknownNameError: There is no such protocol.
        OptionError: There is no such setting, or its value cannot be used.
        PluginError: It breaks the contract of protocols; says how.
    """
    protocol = _make(name, None)
    if not overrides:
        return protocol
    return _make(name, apply_overrides(protocol.settings, overrides, f"protocol {name!r}"))


def _make(name: str, settings: Any) -> EvaluationProtocol:
    try:
        protocol = registry.protocols.get(name)(settings)
    except VtabError:
        raise
    # A plugin's own code, which may fail in any way.
    except Exception as error:
        owner = registry.protocols.owner(name)
        raise PluginError(
            f"The protocol {name!r} of {owner} cannot be made: {type(error).__name__}: {error}.",
            "Its class takes one argument, an instance of its settings or None for the defaults.",
        ) from error
    check_contract(protocol)
    return protocol


def check_contract(protocol: EvaluationProtocol) -> None:
    """Finds out before anything is loaded what would end a sweep after hours.

    Raises:
        PluginError: A member is missing or of no use, or the grid is; names the protocol and the member.
    """
    what = f"The protocol {getattr(protocol, 'name', type(protocol).__name__)!r}"
    hint = "See CONTRIBUTING.md on how to add a protocol, and vtab_harness.testing.check_protocol."
    if missing := lacking(protocol, EvaluationProtocol):
        raise PluginError(f"{what} has no {', '.join(missing)}.", hint)
    wrong = {
        "name": not isinstance(protocol.name, str),
        "version": not _is_count(protocol.version),
        "summary": not isinstance(protocol.summary, str),
        "consumes": protocol.consumes not in ("features", "images"),
        "settings": not is_settings(protocol.settings),
        "seeds": not _is_count(protocol.seeds),
        "output": output_of(protocol) not in (POOLED, TOKENS, BLOCKS),
    }
    if named := [f"{member}={getattr(protocol, member)!r}" for member, found in wrong.items() if found]:
        raise PluginError(
            f"{what} has {', '.join(named)}.",
            "name and summary are texts, version and seeds whole numbers from 1 on, consumes is 'features' or 'images',"
            f" settings an instance of a frozen dataclass, output {POOLED!r}, {TOKENS!r} or {BLOCKS!r}.",
        )
    try:
        grid = list(protocol.grid())
        keys = {trial_key(settings) for settings in grid}
    except VtabError:
        raise
    # A grid may fail in any way; without one there is neither a plan nor a search.
    except Exception as error:
        raise PluginError(
            f"{what}: its grid() fails with {type(error).__name__}: {error}.",
            "It returns a list of mappings with plain JSON values.",
        ) from error
    if not grid or len(keys) != len(grid):
        found = "is empty" if not grid else "lists a trial twice"
        raise PluginError(f"{what}: its grid() {found}.", "Return the settings of each trial once; {} is one trial.")


def output_of(protocol: EvaluationProtocol) -> str:
    """Returns which output of a backbone a protocol works on."""
    return str(getattr(protocol, "output", POOLED))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def identity(protocol: EvaluationProtocol) -> ProtocolIdentity:
    """Returns which protocol this is, with all its settings."""
    settings, changed = plain_json(asdict(protocol.settings)), plain_json(overridden(protocol))
    return ProtocolIdentity(protocol.name, protocol.version, settings, changed)


def overridden(protocol: EvaluationProtocol) -> dict[str, Any]:
    """Returns the settings that differ from the defaults."""
    ours, default = asdict(protocol.settings), asdict(type(protocol)().settings)
    return {key: value for key, value in ours.items() if value != default[key]}
