"""`check_task` lets good tasks through, and finds each way in which a task or its source can be wrong."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vtab_harness import registry
from vtab_harness.api.errors import DataError
from vtab_harness.api.labels import Column
from vtab_harness.testing import ContractError, check_task
from vtab_plugin_example.tasks import STRIPES, StripesSource

Images = Iterator[tuple[str, int, Any]]


@pytest.mark.parametrize("name", registry.suites.get("mini").tasks)
def test_every_task_of_mini_passes(name: str) -> None:
    check_task(registry.tasks.get(name))


@pytest.mark.parametrize("name", registry.suites.get("vtab-1k").tasks)
def test_every_declaration_of_vtab_1k_passes(name: str) -> None:
    check_task(registry.tasks.get(name), read=False)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["caltech101", "eurosat"])
def test_real_archives_pass(shared_data: Path, name: str) -> None:
    check_task(registry.tasks.get(name), [shared_data / "raw" / name])


class FewerKeys(StripesSource):
    def keys(self, split: str) -> Sequence[str]:
        return super().keys(split)[:-1]


class RepeatedKey(StripesSource):
    def keys(self, split: str) -> Sequence[str]:
        return [super().keys(split)[0], *super().keys(split)[:-1]]


class RestlessKeys(StripesSource):
    calls = 0

    def keys(self, split: str) -> Sequence[str]:
        self.calls += 1
        return super().keys(split)[:: -1 if self.calls % 2 else 1]


class ShortColumn(StripesSource):
    def annotations(self, split: str) -> Mapping[str, Any]:
        return {"colour": super().annotations(split)["colour"][:-1]}


class TextColumn(StripesSource):
    def annotations(self, split: str) -> Mapping[str, Any]:
        return {"colour": np.array([str(value) for value in super().annotations(split)["colour"]])}


class OtherColumn(StripesSource):
    def annotations(self, split: str) -> Mapping[str, Any]:
        return {"hue": super().annotations(split)["colour"]}


class LeakySplits(StripesSource):
    """Decides the splits itself, and tests on a training example."""

    def vtab_split(self, split: str) -> Sequence[tuple[str, int]] | None:
        return [("train", 799), *[("test", i) for i in range(89)]] if split == "test" else None


class SmallSplit(StripesSource):
    def vtab_split(self, split: str) -> Sequence[tuple[str, int]] | None:
        return [("test", i) for i in range(89)] if split == "test" else None


class WithImages(StripesSource):
    """Gives images that a function has changed."""

    change: Callable[[list[tuple[str, int, Any]]], list[tuple[str, int, Any]]]

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Images:
        yield from type(self).change(list(super().images(wanted)))


def images(change: Callable[[list[Any]], list[Any]]) -> type[StripesSource]:
    return type("Changed", (WithImages,), {"change": staticmethod(change)})


def shifting(found: list[Any]) -> list[Any]:
    """The first image gets another pixel, whichever it is: it depends on what is read with it."""
    (split, position, image), *rest = found
    return [(split, position, np.where(image > 0, 9, 0).astype(np.uint8)), *rest]


class NoVariant:
    keys, annotations, images = StripesSource.keys, StripesSource.annotations, StripesSource.images


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (NoVariant, "has no variant"),
        (FewerKeys, "has 999 keys in 'train', not 1000"),
        (RepeatedKey, "has a key in 'train' twice"),
        (RestlessKeys, "in another order each time"),
        (ShortColumn, "'colour' of 'train' is not numeric and aligned"),
        (TextColumn, "'colour' of 'train' is not numeric and aligned"),
        (OtherColumn, "its label rule on 'train' raised KeyError: 'colour'"),
        (LeakySplits, r"has the example \[\('train', 799\)\] in 'train800' and in 'test'"),
        (SmallSplit, "gives 89 examples for 'test', not 90"),
        (images(lambda found: found[1:]), r"does not yield the image \('train', 0\)"),
        (images(lambda found: [*found, found[-1]]), "twice"),
        (
            images(lambda found: [*found, ("test", 1, found[0][2])]),
            r"yields the image \('test', 1\), which nobody asked",
        ),
        (images(lambda found: [(s, p, i.astype(np.float32)) for s, p, i in found]), r"float32 \(16, 16, 3\)"),
        (images(lambda found: [(s, p, i[..., 0]) for s, p, i in found]), r"uint8 \(16, 16\)"),
        (images(lambda found: [(s, p, i[..., :2]) for s, p, i in found]), r"uint8 \(16, 16, 2\)"),
        (images(lambda found: [(s, p, None) for s, p, i in found]), "NoneType"),
        (images(shifting), "other pixels for .* when it is read again"),
        (images(lambda found: sys.exit(0)), r"images\(\) raised SystemExit"),
    ],
)
def test_a_wrong_source_is_found(monkeypatch: pytest.MonkeyPatch, source: type, message: str) -> None:
    monkeypatch.setitem(sys.modules, "wrong", SimpleNamespace(open=lambda image_set, roots: source()))  # type: ignore[arg-type]
    with pytest.raises(ContractError, match=message):
        check_task(replace(STRIPES, image_set=replace(STRIPES.image_set, source="wrong:open")))


def needs_a_folder(image_set: Any, roots: Sequence[Path]) -> StripesSource:
    for root in roots:
        if (root / "stripes.zip").is_file():
            return StripesSource()
    raise DataError("stripes.zip is in none of the folders.", "Fetch it.")


def test_a_source_that_needs_data_is_opened_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "wrong", SimpleNamespace(open=needs_a_folder))  # type: ignore[arg-type]
    task = replace(STRIPES, image_set=replace(STRIPES.image_set, source="wrong:open"))
    check_task(task, read=False)
    with pytest.raises(ContractError, match=r"opening it raised DataError: stripes.zip is in none"):
        check_task(task, [tmp_path])
    (tmp_path / "stripes.zip").touch()
    check_task(task, [tmp_path])


def fails_without_data(image_set: Any, roots: Sequence[Path]) -> StripesSource:
    next(roots[0].glob("*.zip"))
    return StripesSource()


@dataclass(frozen=True)
class Ranked:
    """A class that is the rank among the examples at hand."""

    def __call__(self, annotations: Mapping[str, Any]) -> Any:
        return np.searchsorted(np.unique(annotations["colour"][:2]), annotations["colour"]).astype(np.int64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": lambda annotations: annotations["colour"]}, "pickling it raised"),
        ({"label": Column("colour", 1)}, r"gives classes 1\.\.3, not 0\.\.2"),
        ({"label": Column("colour", -1)}, r"gives classes -1\.\.1"),
        ({"num_classes": 2}, r"gives classes 0\.\.2, not 0\.\.1"),
        ({"label": Ranked()}, "a class depends on which other examples are labelled"),
        ({"label": np.asarray}, r"does not give int64 of shape \(1000,\)"),
        ({"chance": 0.5}, r"gives chance as 0\.5; the best constant scores 0\.333"),
    ],
)
def test_a_wrong_task_is_found(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_task(replace(STRIPES, **changes))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no_such_module:open", "importing its source no_such_module:open raised ModuleNotFoundError"),
        ("wrong:nothing", "AttributeError"),
        ("wrong:number", "cannot be called"),
        ("wrong:open", r"in an empty folder raised StopIteration:"),
    ],
)
def test_a_wrong_factory_is_found(monkeypatch: pytest.MonkeyPatch, source: str, message: str) -> None:
    monkeypatch.setitem(sys.modules, "wrong", SimpleNamespace(open=fails_without_data, number=3))  # type: ignore[arg-type]
    with pytest.raises(ContractError, match=message):
        check_task(replace(STRIPES, image_set=replace(STRIPES.image_set, source=source)))
