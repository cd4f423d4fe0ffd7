"""Where else the examples of an image set may lie than in its archives: declared with it, needs no NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Example = Mapping[str, Sequence[bytes | int | float]]
"""Feature -> its values, as a prepared directory of TensorFlow Datasets stores an example."""


@dataclass(frozen=True, slots=True)
class TfdsColumns:
    """How the examples of a builder of TensorFlow Datasets become keys, columns and pixels.

    `vtab_harness.formats.tfds.features` has what the functions are made of. They raise ValueError where a feature is
    not what it should be.

    Attributes:
        versions: What the version has to start with; others hold other examples or pixels.
        integers: Features that are columns of their own.
        key: Feature that tells the key that the archive's reader gives the example; empty where none does. Older
            versions may lack it.
        key_of: Makes the key of an example; by default it is the text of the feature.
        computed: Further columns, each with what gives its value for an example: int64 or float32, as the values are.
        channels: 3 for RGB, 1 for images that are declared grey.
        binary: Images are stored as 0 and 1, and mean 0 and 255.
        confirmed: The key is computed from annotations, and believed only where the order bears it out.
        exact: Variant of a directory in the order of its keys.
        misordered: Variant of one in another order; ``unverified`` unless one is known.
        drawn: Keys of each source split, where TFDS draws the splits anew on each machine. A directory with others is
            of the variant `misordered` followed by a digest of its keys.
        skipped: Split -> key of an example that newer TFDS cannot decode and leaves out.
    """

    versions: str = ""
    integers: tuple[str, ...] = ("label",)
    key: str = ""
    key_of: Callable[[Example], str] | None = None
    computed: Mapping[str, Callable[[Example], int | float]] = field(default_factory=dict)
    channels: Literal[1, 3] = 3
    binary: bool = False
    confirmed: bool = False
    exact: str = "vtab-1k"
    misordered: str = "unverified"
    drawn: Callable[[], Mapping[str, Sequence[str]]] | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommunityFolder:
    """The folder of one task in the layout in which the community passes VTAB-1k on.

    Attributes:
        name: What it is called.
        column: Annotation column that its labels stand for.
        values: One value of that column for each class: any that the task's label rule puts into that class serves,
            as the lists hold nothing but classes.
    """

    name: str
    column: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Repository:
    """A copy of one task's images on the Hugging Face Hub; a folder with its name, without the owner, serves as well.

    Attributes:
        name: ``owner/name``.
        task: Registered name of the task whose classes its labels are.
        column: Annotation column that these stand for.
        values: One value of that column for each class, see `CommunityFolder`.
        layout: ``webdataset``: shards in TFDS's reading order, as CLIP_benchmark exports them. ``parquet``: tables with
            the images and their file names.
        image: Column of a table with the images.
        label: Column with the labels.
        config: Folder that the tables lie in, where there are several.
        revision: Commit that is taken, or ``main``.
        checked: What was looked at, and when; empty where nobody could reach it: all that is said here is then our
            assumption.
    """

    name: str
    task: str
    column: str
    values: Sequence[float]
    layout: Literal["webdataset", "parquet"] = "webdataset"
    image: str = "image"
    label: str = "label"
    config: str = ""
    revision: str = "main"
    checked: str = ""

    @property
    def folder(self) -> str:
        """What a folder with a copy of it is called."""
        return self.name.rpartition("/")[2]
