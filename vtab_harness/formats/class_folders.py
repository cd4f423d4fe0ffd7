"""Data sets that are one folder a class, with numbered images, and no splits of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vtab_harness.formats.archives import Members
from vtab_harness.formats.image_list import ListedImages, Listing, Place, labels


def class_folders(members: Members, files: Mapping[str, Sequence[str]], variant: str = "vtab-1k") -> ListedImages:
    """Returns the source of such a data set; its only source split is ``train``.

    Keys are ``<class>_<file>``, as TensorFlow Datasets has them since 4.2. Which files there are is declared, so that
    a class folder too many or too few, or one more image, is noticed.

    Args:
        members: The archive or folder.
        files: Class folder -> its files, in label order.
        variant: What records call these data; ``vtab-1k`` has to be certified.
    """

    def key_of(parts: tuple[str, ...]) -> str | None:
        # Below the class folders and beside them nothing is published but images.
        return f"{parts[-2]}_{parts[-1]}" if len(parts) >= 2 and parts[-1].endswith(".jpg") else None

    keys = [f"{name}_{file}" for name, of_class in files.items() for file in of_class]
    values = [label for label, of_class in enumerate(files.values()) for _ in of_class]
    return ListedImages({"train": Listing(keys, labels(values))}, [Place(members, key_of, ("train",))], variant=variant)
