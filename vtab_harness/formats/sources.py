"""Opens an image set from whatever a person has: archives, a directory prepared by TFDS, or the community's folder."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from vtab_harness.api.data import ImageSet, Source, SourceFactory
from vtab_harness.api.errors import NotFoundError


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
        # Their readers are of no use to most people, who have the archives.
        from vtab_harness.formats.community.source import open_community
        from vtab_harness.formats.tfds.source import open_tfds

        source = open_tfds(image_set, roots) or open_community(image_set, roots)
        if source is not None:
            return source
        others = []
        if image_set.tfds:
            others.append(f"a directory that TensorFlow Datasets has prepared ({image_set.tfds}/<version>)")
        if image_set.community:
            folders = " or ".join(task.name for task in image_set.community)
            others.append(f"the folder {folders} of the community's VTAB-1k (variant jpeg75)")
        if not others:
            raise
        hint = f"{error.hint or ''}\nThis would do too: {', or '.join(others)}."
        raise NotFoundError(error.message, hint.lstrip()) from error
