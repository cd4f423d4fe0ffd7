"""``hf:ORG/NAME``: an image data set of the Hugging Face Hub that is in the local cache, or on disk as ``hf:./FOLDER``.

The library `datasets` reads it. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError, NotFoundError, OptionError
from vtab_harness.api.tasks import Task
from vtab_harness.datasets.own.collection import SPLIT_NAMES, Collection, Examples, declared, task_name
from vtab_harness.datasets.own.reader import MOST_BYTES, OwnImages
from vtab_harness.formats.json_file import read_bounded

OPTIONS = ("config", "image", "label", "name")
"""Of the data set: its configuration, the columns with images and labels; and what tables call the task."""
_LABELS = ("label", "labels", "class", "fine_label")
_UNLABELLED = -1
"""What stands for the label of a test example that only the publisher knows."""


@dataclass(frozen=True, slots=True)
class Named:
    """A data set as a person names it.

    Attributes:
        place: ``ORG/NAME`` or the absolute path of a folder.
        is_folder: Which of the two.
        options: Some of `OPTIONS`.
    """

    place: str
    is_folder: bool
    options: Mapping[str, str]

    @classmethod
    def parse(cls, argument: str) -> Named:
        """Reads what stands after ``hf:``.

        Raises:
            OptionError: There is no name, or an unknown option.
        """
        place, _, tail = argument.partition("?")
        options = dict(parse_qsl(tail, keep_blank_values=True))
        unknown = options.keys() - set(OPTIONS)
        if unknown or not place:
            what = f"has the unknown option {min(unknown)!r}" if unknown else "names no data set"
            raise OptionError(
                f"The task 'hf:{argument}' {what}.",
                f"Write hf:ORG/NAME or hf:./FOLDER; options are {', '.join(OPTIONS)}.",
            )
        is_folder = place.startswith((".", "/", "~"))
        if not is_folder and (place.count("/") > 1 or "\\" in place):
            raise OptionError(f"{place!r} is no name of a data set.", "Write hf:ORG/NAME, or hf:./FOLDER for a folder.")
        return cls(str(Path(place).expanduser().resolve()) if is_folder else place, is_folder, options)

    @property
    def origin(self) -> str:
        """The same again as text, from wherever it is read."""
        return f"{self.place}?{urlencode(self.options)}" if self.options else self.place


def declare(argument: str) -> Task:
    """Makes the task of ``hf:ORG/NAME``, or of ``hf:./FOLDER`` that `datasets` has saved.

    Raises:
        DataError: It is not there, or not one of labelled images.
        OptionError: It is not named so, or an option is unknown.
    """
    named = Named.parse(argument)
    name = task_name(named.place.rpartition("/")[2], named.options.get("name"))
    return Task(**declared(collect(named), name, f"{__name__}:open_source", named.origin))


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> OwnImages:
    """Opens the images that a task was made of; where data folders are does not matter."""
    return OwnImages(collect(Named.parse(image_set.origin)))


def collect(named: Named) -> Collection:
    """Lists the examples of a data set, without decoding an image.

    Raises:
        DataError: As of `declare`.
    """
    where = f"hf:{named.place}"
    parts: dict[str, Any] = _loaded(named, where)
    if len(parts) == 1:
        # Whatever its name, it is divided as a folder without splits is.
        parts = {"train": next(iter(parts.values()))}
    splits: dict[str, Examples] = {}
    files: list[Path] = []
    classes: tuple[str, ...] = ()
    for split, part in parts.items():
        called = SPLIT_NAMES.get(split)
        image, label = _columns(part, named, where)
        values = list(part[label])
        if called is None or all(value in (_UNLABELLED, None) for value in values):
            continue
        known = tuple(map(str, getattr(part.features[label], "names", None) or ()))
        if any(value in (_UNLABELLED, None) or (known and not 0 <= value < len(known)) for value in values):
            raise DataError(f"{where}: the split {split} has examples without a label.", "Save it without them.")
        # Two classes of one name stay two.
        known = known if len(set(known)) == len(known) else ()
        classes = classes or known
        labels = [known[value] if known else str(value) for value in values]
        keys = [str(at) for at in range(len(labels))]
        splits[called] = Examples(keys, labels, partial(_content, _undecoded(part, image), image))
        files += [Path(file["filename"]) for file in part.cache_files]
    if "train" not in splits:
        raise DataError(f"{where} has no labelled split 'train', only {', '.join(parts)}.", "Save one under that name.")
    return Collection(where, dict(sorted(splits.items())), tuple(dict.fromkeys(files)), classes)


def _loaded(named: Named, where: str) -> dict[str, Any]:
    """Returns the splits by name."""
    try:
        import datasets
        from datasets.packaged_modules.cache.cache import Cache
    except ImportError as error:
        raise NotFoundError(
            f"{where} needs the package datasets, which cannot be imported: {error}.",
            "Install it with: pip install 'vtab-harness[datasets]'",
        ) from error
    try:
        if named.is_folder:
            found = datasets.load_from_disk(named.place)
        else:
            # What load_dataset falls back to without a network.
            config = named.options.get("config")
            found = Cache(
                repo_id=named.place,
                dataset_name=named.place.rpartition("/")[2],
                config_name=config,
                version="auto",
                hash="auto",
            ).as_dataset()
        saved = found if isinstance(found, dict) else {"train": found}
        # Whatever columns it was saved to show.
        parts = {split: part.with_format(None) for split, part in saved.items()}
        for part in parts.values():
            # Arrow believes where a file says that its rows begin.
            part.data.table.validate(full=True)
    # A folder that holds anything else may fail in any way.
    except Exception as error:
        fetch = f'datasets.load_dataset("{named.place}") fetches it, once.'
        raise NotFoundError(
            f"{where} cannot be read from {'disk' if named.is_folder else 'the local cache'}: {error}",
            "Name a folder that save_to_disk has made." if named.is_folder else fetch,
        ) from error
    return parts


def _columns(part: Any, named: Named, where: str) -> tuple[str, str]:
    """Returns the names of the columns with the images and with the labels."""
    kinds = {name: type(feature).__name__ for name, feature in part.features.items()}
    images = [name for name, kind in kinds.items() if kind == "Image"]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    plain = [name for name in _LABELS if kinds.get(name) == "Value"]
    image = named.options.get("image") or (images[0] if len(images) == 1 else None)
    label = named.options.get("label") or next(
        iter([*(name for name in _LABELS if name in labels), *(labels if len(labels) == 1 else []), *plain]), None
    )
    for what, column, there in (("image", image, images), ("label", label, [*labels, *plain])):
        if column not in kinds or (what == "image" and column not in images):
            raise DataError(
                f"{where} has no one column of {what}s, or not {column!r}; its columns are"
                f" {', '.join(f'{name} ({kind})' for name, kind in kinds.items())}.",
                f"Name one: hf:{named.place}?{what}={there[0] if there else 'COLUMN'}",
            )
    assert image is not None
    assert label is not None
    return image, label


def _undecoded(part: Any, image: str) -> Any:
    import datasets

    return part.select_columns([image]).cast_column(image, datasets.Image(decode=False))


def _content(part: Any, image: str, at: int) -> bytes:
    """Returns the bytes of an image file, which the data set holds, or which lies in the cache of the Hub."""
    from datasets import config

    value = part[at][image] or {}
    if value.get("bytes") is not None:
        content: bytes = value["bytes"]
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        return content
    path = Path(value.get("path") or "")
    caches = (Path(config.HF_CACHE_HOME), Path(config.HF_DATASETS_CACHE))
    if not any(path.resolve().is_relative_to(cache.expanduser().resolve()) for cache in caches):
        raise ValueError("the data set holds only its path on some machine, and not the image")
    return read_bounded(path.resolve(), MOST_BYTES)
