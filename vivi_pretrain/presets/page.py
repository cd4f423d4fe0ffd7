"""The page docs/presets.md: one preset in full, with where each value comes from, and what is other in the rest."""

from __future__ import annotations

from typing import Any

from vivi_pretrain.presets.paper import PRESETS, SOURCES, Preset

BASE = PRESETS["vivi-ex4"]


def page() -> str:
    """Returns the page in Markdown."""
    base = BASE.settings()
    lines = [
        "# Presets of `vtab pretrain`",
        "",
        "VIVI is arXiv 1912.02783. No code of it was released, so that every value carries a mark: **paper** (read"
        " there), **code** (read in public code of the same group), **recalled** (of the paper's body, not checked"
        " against its text), **assumed** (ours). Any of them changes with `--set key=value`. This page is printed by"
        " `vivi presets`; settings that only say how work is done are left out.",
        "",
        f"## {BASE.name}",
        "",
        f"{BASE.summary[0].upper()}{BASE.summary[1:]}. Settings of a loss that is not used have no effect.",
        "",
        "| setting | value | mark | |",
        "|---|---|---|---|",
        *(f"| {name} | {_text(getattr(base, name))} | {mark} | {note} |" for name, (mark, note) in SOURCES.items()),
        "",
        "## The others",
        "",
        f"Each is {BASE.name} but for these values, by their marks; the notes above hold for them as well.",
        "",
        "| preset | what it is | other values |",
        "|---|---|---|",
        *(f"| {preset.name} | {preset.summary} | {_others(preset)} |" for preset in PRESETS.values() if preset != BASE),
    ]
    return "\n".join(lines) + "\n"


def _others(preset: Preset) -> str:
    """Names the values that differ from the base's, grouped by mark."""
    base, settings = BASE.settings(), preset.settings()
    groups: dict[str, list[str]] = {}
    for name, (mark, _) in SOURCES.items():
        value = getattr(settings, name)
        if value != getattr(base, name):
            groups.setdefault(mark, []).append(f"`{name}={_text(value)}`")
    return "; ".join(f"{mark}: {', '.join(values)}" for mark, values in groups.items())


def _text(value: Any) -> str:
    """Returns a value as `--set` takes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
