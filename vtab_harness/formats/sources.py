"""Opens an image set from whatever a person has: archives, a directory prepared by TFDS, or the community's folder."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from vtab_harness.api.data import ImageSet, Source, SourceFactory
from vtab_harness.api.errors import NotFoundError
from vtab_harness.formats.community.folders import FOLDERS
from vtab_harness.formats.community.source import open_community
from vtab_harness.formats.tfds.source import open_tfds


def open_any(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Opens the declared source; where its files are absent, prepared TFDS data, then the community's folder.

    Damaged files are reported, not passed over: other data would be another variant, which nobody asked for.

    Args:
        image_set: What to open.
        roots: Folders with the person's data, searched in order.

    Raises:
        NotFoundError: There is none of them; says what to fetch.
        DataError: What there is cannot be used.
    """
    module, _, attribute = image_set.source.partition(":")
    factory: SourceFactory = getattr(importlib.import_module(module), attribute)
    try:
        return factory(image_set, roots)
    except NotFoundError as error:
        if not image_set.tfds:
            raise
        source = open_tfds(image_set, roots) or open_community(image_set, roots)
        if source is not None:
            return source
        folders = " or ".join(task.name for task in FOLDERS.get(image_set.name, ()))
        community = f", or the folder {folders} of the community's VTAB-1k (variant jpeg75)" if folders else ""
        raise NotFoundError(
            error.message,
            f"{error.hint or ''}\nA directory that TensorFlow Datasets has prepared"
            f" ({image_set.tfds}/<version>){community} would do too.".lstrip(),
        ) from error
