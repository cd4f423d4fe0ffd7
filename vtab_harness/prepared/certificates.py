"""Certificates: what the keys and labels of VTAB-1k's splits must be, and which data a prepared set therefore is.

They ship in the folders of the image sets, see `vtab_harness.formats.certificate_files`. Preparing and verifying
compare; the outcome stamps the data variant that records carry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.formats.certificate_files import certificate_of, certified_order
from vtab_harness.prepared.checksums import Verdict

EXACT = "vtab-1k"
"""The variant of data that are VTAB-1k to the example."""
UNVERIFIED = "unverified"
"""The variant of data that should be certified and are not."""
LEARNED_FROM = ("train800", "val200")
OTHER_PIXELS = "other-pixels"
"""The variant of data with the right keys and labels, whose images are decoded to other pixels than certified."""


@dataclass(frozen=True, slots=True, eq=False)
class CertifiedPart:
    """Those examples of a split that are among the certified ones, by their positions in example order.

    Their keys tell whether a longer, shorter or sparser split than ``train800`` was cut from the certified order: one
    example too many or too few in the source moves all those behind it.

    Attributes:
        of: ``train800`` or ``val200``.
        positions: Positions in that split, int64, shape (n,).
        keys: Keys that the examples have, n of them.
        labels: sha256 of their labels where they are the whole of it, in its order; else None.
    """

    of: str
    positions: NDArray[np.int64]
    keys: Sequence[str]
    labels: str | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """How a prepared set compares with the certificates.

    Attributes:
        positional: Keys tell nothing about the content of the files; see `ImageSet.positional`.
        declared: Variant that the source says it is.
        certified: Variant that the certificates of this image set are about; None where there are none.
        keys: By prepared split, whether its examples are the certified ones in the certified order.
        labels: The same for the labels of one task; empty where no task was asked for.
        pixels: The same for the decoded images, where their certificate ships.
        nameless: Splits whose keys only count examples, so that labels or pixels alone can tell.
        stands_for: By split of another length than the certified one, which of them its verdict is about.
        archives: Whether the files that the data were read from are the published ones.
    """

    positional: bool
    declared: str
    certified: str | None
    keys: Mapping[str, Verdict]
    labels: Mapping[str, Verdict] = field(default_factory=dict)
    pixels: Mapping[str, Verdict] = field(default_factory=dict)
    nameless: frozenset[str] = frozenset()
    stands_for: Mapping[str, str] = field(default_factory=dict)
    archives: Verdict = "unknown"

    @property
    def untold(self) -> bool:
        """Whether keys tell nothing about the content of this image set, nor do pixels or the files that were read."""
        return self.positional and self.archives != "exact" and "exact" not in self.pixels.values()

    @property
    def differing(self) -> tuple[str, ...]:
        """What differs, for instance ``keys of test``."""
        parts = {"keys": self.keys, "labels": self.labels, "pixels": self.pixels}
        return tuple(
            f"{name} of {split}" for name, part in parts.items() for split, found in part.items() if found == "differs"
        )

    @property
    def exact(self) -> tuple[str, ...]:
        """Splits that are certified: by their pixels, their keys, or the labels where there are no keys.

        Nothing of them differs. Where keys are positions, and the files are not the published ones, only pixels tell.
        """
        return tuple(split for split in self.keys if self._is_exact(split))

    def _is_exact(self, split: str) -> bool:
        keys, labels = self.keys[split], self.labels.get(split, "unknown")
        pixels = self.pixels.get(split, "unknown")
        if "differs" in (keys, labels, pixels):
            return False
        told = not self.positional or self.archives == "exact"
        named = keys == "exact" or (split in self.nameless and labels == "exact")
        return pixels == "exact" or (told and named)


def compare(
    image_set: ImageSet,
    declared: str,
    fingerprints: Mapping[str, Mapping[str, str]],
    task: str | None = None,
    nameless: Collection[str] = (),
    parts: Mapping[str, CertifiedPart] | None = None,
    archives: Verdict = "unknown",
) -> Certificate:
    """Compares fingerprints with the certificates.

    Args:
        image_set: Says where its certificate is.
        declared: Variant that the source says it is.
        fingerprints: By split, the sha256 of ``keys``, where they are known of ``pixels``, and where a task is given of
            ``labels``.
        task: Name of the task that the labels belong to.
        nameless: Splits whose keys are stand-ins and not compared.
        parts: By split of another length than the certified ones, what it holds of them.
        archives: Whether the files that the data were read from are the published ones.
    """
    certified = certificate_of(image_set)
    labels = certified.get("labels", {}).get(task, {})
    # What is known about one variant says nothing about another.
    known = certified.get("keys", {}) if certified.get("variant") == declared else {}
    keys_found = {
        split: _verdict(found.get("keys"), None if split in nameless else known.get(split))
        for split, found in fingerprints.items()
    }
    labels_found = {
        split: _verdict(found["labels"], labels.get(split) if known else None)
        for split, found in fingerprints.items()
        if task is not None and "labels" in found
    }
    pixels = certified.get("pixels", {}) if known else {}
    pixels_found = {
        split: _verdict(found.get("pixels"), pixels[split]) for split, found in fingerprints.items() if split in pixels
    }
    stands_for = {}
    for split, part in (parts or {}).items():
        stands_for[split] = part.of
        if known and split not in nameless and keys_found[split] == "unknown":
            order = certified_order(image_set)[part.of]
            same = [order[position] for position in part.positions.tolist()] == list(part.keys)
            keys_found[split] = "exact" if same else "differs"
        if known and part.labels is not None and labels_found.get(split) == "unknown":
            labels_found[split] = _verdict(part.labels, labels.get(part.of))
    return Certificate(
        image_set.positional,
        declared,
        certified.get("variant"),
        keys_found,
        labels_found,
        pixels_found,
        frozenset(nameless),
        stands_for,
        archives,
    )


def stamp(certificate: Certificate) -> str:
    """Returns the variant that records carry.

    ``vtab-1k`` is a claim that has to be proved: nothing may differ, and train800 and val200 must be certified, or
    splits of another length that stand for them; where keys are positions, the files must be the published ones.
    Any other variant is a name for other data and stays, unless it has certificates that say it is something else.
    Where only pixels differ, the images were encoded anew, or are decoded by something else than what is meant.
    """
    if certificate.differing:
        only_pixels = all(found.startswith("pixels ") for found in certificate.differing)
        return OTHER_PIXELS if only_pixels else UNVERIFIED
    proved = set(LEARNED_FROM) <= {certificate.stands_for.get(split, split) for split in certificate.exact}
    return UNVERIFIED if certificate.declared == EXACT and not proved else certificate.declared


def places(split: Sequence[Slice], certified: Sequence[Slice]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns where two splits, given by their slices, hold the same examples.

    Returns:
        Positions in `split` and in `certified`, int64, both of shape (n,), the first of them ascending.
    """
    here, there = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    begin = 0
    for part in split:
        other = 0
        for known in certified:
            if part.split == known.split:
                common = np.arange(max(part.start, known.start), min(part.stop, known.stop), dtype=np.int64)
                here.append(common - part.start + begin)
                there.append(common - known.start + other)
            other += len(known)
        begin += len(part)
    return np.concatenate(here), np.concatenate(there)


def origin(image_set: ImageSet, split: str) -> str | None:
    """Returns where the certificate of a split's keys comes from, in words; None where there is none."""
    found = certificate_of(image_set).get("keys", {}).get(split)
    return None if found is None else str(found["from"])


def _verdict(found: str | None, known: Mapping[str, str] | None) -> Verdict:
    if found is None or known is None:
        return "unknown"
    return "exact" if found == known["sha256"] else "differs"
