"""The list of everything that reads something from outside. A new reader is added here when it is written."""

from __future__ import annotations

from fuzzing import (
    archive_readers,
    backbone_readers,
    image_readers,
    own_readers,
    prepared_readers,
    pretraining_readers,
    record_readers,
    settings_readers,
    tfds_readers,
)
from fuzzing.reader import Reader

READERS: tuple[Reader, ...] = (
    *settings_readers.READERS,
    *backbone_readers.READERS,
    *image_readers.READERS,
    *own_readers.READERS,
    *archive_readers.READERS,
    *tfds_readers.READERS,
    *prepared_readers.READERS,
    *pretraining_readers.READERS,
    *record_readers.READERS,
)
