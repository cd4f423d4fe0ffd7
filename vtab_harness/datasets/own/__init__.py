"""A person's own images as a task, without code: class folders, a list in CSV, or an image data set of the Hub.

``folder:PATH`` and ``hf:ORG/NAME`` stand in place of a task's name; `ImageFolder` is the same from Python.
"""

from __future__ import annotations

from pathlib import Path

from vtab_harness.api.tasks import Task

__all__ = ["ImageFolder"]


class ImageFolder(Task):
    """The task of telling the classes of a person's own images apart.

    `PATH` is a folder with a folder for each class, below ``train``, ``val`` and ``test`` where there are such; or a
    CSV file with a heading, a column ``path`` (beside the file or below it), a column ``label``, and perhaps a column
    ``split``. Images are JPEG, PNG, BMP, GIF or WebP.

    Without splits, examples are ordered by the md5 of their names, as those of VTAB are; the first 60 % are learned
    from, the next 20 % chosen on, the last 20 % tested on. Where a test split is given, the last fifth of the training
    examples is chosen on; without one, a validation split is what is tested on. From then on it is a task like the
    others: the first 800 and 200, or as many as there are, and a record whose identity holds names, labels and pixels.

    Args:
        path: The folder or the CSV file.
        name: What tables call it; by default the name of the folder, or of the file.

    Raises:
        DataError: There is nothing there that a classifier can be trained and tested on; names the file and what to do.
        OptionError: The name cannot be used.

    Examples:
        >>> from PIL import Image
        >>> for i in range(30):
        ...     path = Path("flowers", "rose" if i % 3 else "daisy", f"{i}.png")
        ...     path.parent.mkdir(parents=True, exist_ok=True)
        ...     Image.new("RGB", (8, 8), (8 * i, 0, 0)).save(path)
        >>> task = ImageFolder("flowers")
        >>> task.name, task.num_classes, {split: task.image_set.size(split) for split in ("train", "val", "test")}
        ('own-flowers', 2, {'train': 18, 'val': 6, 'test': 6})
    """

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        from vtab_harness.datasets.own.folder import declaration

        super().__init__(**declaration(Path(path), name))
