"""What rows are called."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

_STEP = re.compile(r"(?:^|[/\\:=_-])step[-_]?(\d{1,12})(?=$|[/\\.?&])", re.IGNORECASE)
_FOLDER = re.compile(r"[/\\]checkpoints(?=$|[/\\?])")


def pretraining_step(spec: str) -> int | None:
    """Returns the step that a spec names, as in ``local-dir:runs/vivi/step-00005000``, else None."""
    found = _STEP.findall(spec)
    return int(found[-1]) if found else None


def unchanged(protocols: Iterable[str], name: str) -> list[str]:
    """Returns the identities that a protocol's name alone means, sorted.

    They are those with its own settings and 1000 labels, such as ``linear-v1``; several where there are records of
    several versions.
    """
    return sorted(p for p in protocols if re.fullmatch(rf"{re.escape(name)}-v\d+", p))


def pretraining_run(spec: str) -> str:
    """Returns a spec without its step and the folder ``checkpoints``: the same for all checkpoints of a run."""
    found = list(_STEP.finditer(spec))
    if found:
        spec = spec[: found[-1].start()] + spec[found[-1].end() :]
    return _FOLDER.sub("", spec)


def row_names(backbones: Sequence[tuple[str, str, str]], given: Sequence[str] = ()) -> list[str]:
    """Returns a name for each backbone, as short as tells them apart.

    A name that a person has given is kept; where several backbones have it, with the weights, or the folder, behind it.

    Tried in turn, for those that are still alike: the last part of the name, without and with its module, the last two
    parts, either with the options that not all of them share, the spec without its options, the whole spec, the spec
    with the weights, and at last with the folder. A checkpoint is always named with its run: ``a/step-00010000``.

    Args:
        backbones: (folder name, spec, sha256 of the weights); the folder names differ.
        given: For each the name that a person has given, or empty; none at all where it is left out.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for _, spec, _ in backbones:
        alike[spec.partition("?")[0]].append(spec)
    shared = {name: set.intersection(*map(_options, specs)) for name, specs in alike.items()}

    def own_options(spec: str) -> str:
        name, _, options = spec.partition("?")
        mine = "&".join(option for option in options.split("&") if option and option not in shared[name])
        return f"?{mine}" if mine else ""

    forms: list[Callable[[str, str, str], str]] = [
        lambda key, spec, weights: _last_parts(spec, 1).rpartition(":")[2],
        lambda key, spec, weights: _last_parts(spec, 1),
        lambda key, spec, weights: _last_parts(spec, 2),
        lambda key, spec, weights: _last_parts(spec, 1) + own_options(spec),
        lambda key, spec, weights: _last_parts(spec, 2) + own_options(spec),
        lambda key, spec, weights: spec.partition("?")[0],
        lambda key, spec, weights: spec,
        lambda key, spec, weights: f"{spec} ({weights[:8]})",
        lambda key, spec, weights: f"{spec} ({key})",
    ]
    names = _told_apart(backbones, given) if any(given) else [""] * len(backbones)
    open_ = [i for i in range(len(backbones)) if not names[i]]
    for form in forms:
        tried = {i: form(*backbones[i]) for i in open_}
        counts = Counter([*tried.values(), *filter(None, names)])
        for i in open_:
            if tried[i].strip() and counts[tried[i]] == 1:
                names[i] = tried[i]
        open_ = [i for i in open_ if not names[i]]
    for i in open_:
        names[i] = backbones[i][0]
    return names


def _told_apart(backbones: Sequence[tuple[str, str, str]], given: Sequence[str]) -> list[str]:
    """Returns the given names, with the weights or the folder behind those that several backbones have."""
    names = list(given)
    for i, (key, _, weights) in enumerate(backbones):
        alike = [backbones[j][2] for j in range(len(given)) if given[j] == given[i]] if given[i] else []
        if len(alike) > 1:
            names[i] = f"{given[i]} ({weights[:8]})" if alike.count(weights) == 1 else f"{given[i]} ({key})"
    return names


def _last_parts(spec: str, parts: int) -> str:
    """Returns the end of a name; a folder ``checkpoints`` says nothing, and a step alone says too little."""
    name = spec.partition("?")[0].partition(":")[2] or spec.partition("?")[0]
    found = name.rstrip("/").split("/")
    found = [part for i, part in enumerate(found) if part != "checkpoints" or i == len(found) - 1]
    of_a_run = _STEP.fullmatch(found[-1]) is not None
    return "/".join(found[-parts - of_a_run :])


def _options(spec: str) -> set[str]:
    return set(spec.partition("?")[2].split("&"))
