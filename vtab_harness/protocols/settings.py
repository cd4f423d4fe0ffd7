"""Overriding a protocol's settings, and the identity that an overridden protocol carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vtab_harness import registry
from vtab_harness.api.identity import ProtocolIdentity, plain_json
from vtab_harness.api.protocols import EvaluationProtocol
from vtab_harness.overrides import apply_overrides


def build_protocol(name: str, overrides: Mapping[str, Any]) -> EvaluationProtocol:
    """Builds a registered protocol with some settings overridden.

    Args:
        name: Registered name.
        overrides: Setting -> value; strings are read as the setting's type (``200``, ``0.1,0.01``, ``true``).

    Raises:
        UnknownNameError: There is no such protocol.
        OptionError: There is no such setting, or its value cannot be used.
    """
    protocol = registry.protocols.get(name)()
    if not overrides:
        return protocol
    return registry.protocols.get(name)(apply_overrides(protocol.settings, overrides, f"protocol {name!r}"))


def identity(protocol: EvaluationProtocol) -> ProtocolIdentity:
    """Returns which protocol this is, with all its settings."""
    settings, changed = plain_json(asdict(protocol.settings)), plain_json(overridden(protocol))
    return ProtocolIdentity(protocol.name, protocol.version, settings, changed)


def overridden(protocol: EvaluationProtocol) -> dict[str, Any]:
    """Returns the settings that differ from the defaults."""
    ours, default = asdict(protocol.settings), asdict(type(protocol)().settings)
    return {key: value for key, value in ours.items() if value != default[key]}
