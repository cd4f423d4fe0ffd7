"""Has TensorFlow Datasets download and prepare a data set."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError, NotFoundError, OptionError
from vtab_harness.formats.tfds.directory import find_directory


def tensorflow_datasets() -> Any:
    """Imports TensorFlow Datasets.

    Raises:
        OptionError: It or TensorFlow is not installed; says how to.
    """
    try:
        # Its builders import TensorFlow only when they are at work.
        importlib.import_module("tensorflow")
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise OptionError(
            f"--via tfds needs TensorFlow and TensorFlow Datasets, which cannot be imported: {error}",
            "Install them with: pip install 'vtab-harness[tfds]'; or leave --via out, as the published archives are"
            " read without either.",
        ) from error


def build(tfds: Any, image_set: ImageSet, root: Path) -> None:
    """Downloads and prepares a data set as TFDS does, unless the folder has it already.

    Args:
        tfds: The package, see `tensorflow_datasets`.
        image_set: What to build.
        root: Its data folder.

    Raises:
        NotFoundError: TFDS does not have it.
        DataError: TFDS fails, for instance because a file has to be fetched by hand; says what TFDS says.
    """
    if not image_set.tfds:
        raise NotFoundError(f"{image_set.name} is not a data set of TensorFlow Datasets.", "Leave --via out.")
    if find_directory(image_set, [root]) is not None:
        return
    try:
        tfds.builder(image_set.tfds, data_dir=str(root)).download_and_prepare()
    # Whatever its builders, downloads and TensorFlow itself may raise.
    except Exception as error:
        raise DataError(
            f"TensorFlow Datasets could not prepare {image_set.tfds} in {root}: {type(error).__name__}: {error}"
        ) from error
