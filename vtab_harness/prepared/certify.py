"""Which data a prepared set is: its fingerprints compared with the certificates, and the files it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np

from vtab_harness.api.data import Provenance
from vtab_harness.api.identity import DataIdentity, SplitIdentity
from vtab_harness.api.labels import LabelRule
from vtab_harness.api.tasks import Task
from vtab_harness.formats.example_order import STAND_IN, keys_fingerprint
from vtab_harness.prepared.certificates import (
    LEARNED_FROM,
    Certificate,
    CertifiedPart,
    compare,
    places,
    stamp,
)
from vtab_harness.prepared.checksums import compare_files, differing_files, read_files
from vtab_harness.prepared.prepared_set import PreparedSet


def provenance(prepared: PreparedSet, rule: LabelRule | None = None, task: str | None = None) -> Provenance:
    """Returns which data these are; the variant is the one that the certificates leave.

    Args:
        prepared: The splits that are used.
        rule: Label rule of a task, whose labels are then among the fingerprints.
        task: Its name, under which labels may be certified.
    """
    image_set, prints = prepared.image_set, prepared.fingerprints(rule)
    stamped = stamp(_compared(prepared, prints, rule, task))
    return Provenance(image_set.name, image_set.version, stamped, prints)


def data_identity(prepared: PreparedSet, task: Task) -> DataIdentity:
    """Returns which data these are for a task: its variant, and the keys, labels and pixels of every split."""
    known = _identities.setdefault(prepared, {})
    if task.name not in known:
        found = provenance(prepared, task.label, task.name)
        splits = {split: SplitIdentity(**prints) for split, prints in found.fingerprints.items()}
        known[task.name] = DataIdentity(found.image_set, found.version, found.variant, splits)
    return known[task.name]


# A plan asks once for every backbone, and labels are read and hashed for it.
_identities: WeakKeyDictionary[PreparedSet, dict[str, DataIdentity]] = WeakKeyDictionary()


def certify(prepared: PreparedSet, task: Task | None = None) -> Certificate:
    """Compares prepared splits with the certificates that ship with the image set.

    Keys are taken from what was written down when they were prepared; `PreparedSet.verify` says whether the files still
    hold them.

    Args:
        prepared: The splits.
        task: Also compares the labels of this task.
    """
    rule, name = (None, None) if task is None else (task.label, task.name)
    return _compared(prepared, prepared.fingerprints(rule), rule, name)


def other_archives(prepared: PreparedSet) -> list[str]:
    """Returns the names of files that a set was prepared from and that are not the published ones of these names."""
    return differing_files(prepared.image_set, read_files(list(prepared.manifests.values())))


def _compared(
    prepared: PreparedSet, prints: Mapping[str, Mapping[str, str]], rule: LabelRule | None, task: str | None
) -> Certificate:
    archives = compare_files(prepared.image_set, read_files(list(prepared.manifests.values())))
    # Where the source could not tell the keys, only count examples.
    nameless = {
        split for split in prepared.manifests if any(key.startswith(STAND_IN) for key in prepared.keys(split)[:1])
    }
    parts = _certified_parts(prepared, rule)
    return compare(prepared.image_set, prepared.variant, prints, task, nameless, parts, archives)


def _certified_parts(prepared: PreparedSet, rule: LabelRule | None) -> dict[str, CertifiedPart]:
    """Returns, where train800 and val200 were not prepared themselves, what other splits hold of them."""
    parts: dict[str, CertifiedPart] = {}
    declared = prepared.image_set.splits
    if set(LEARNED_FROM) & set(prepared.manifests) or not set(LEARNED_FROM) <= set(declared):
        return parts
    for split in prepared.manifests:
        for certified in LEARNED_FROM:
            here, there = places(declared[split], declared[certified])
            if len(here) == 0:
                continue
            keys = prepared.keys(split)
            whole = np.array_equal(there, np.arange(prepared.image_set.size(certified)))
            labels = keys_fingerprint(prepared.labels(split, rule)[here].tolist()) if whole and rule else None
            parts[split] = CertifiedPart(certified, there, [keys[row] for row in here.tolist()], labels)
    return parts
