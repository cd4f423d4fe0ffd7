"""Building with TFDS, which is not installed where tests run: a stand-in takes its place."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from vtab_harness.api.errors import DataError, NotFoundError, OptionError
from vtab_harness.datasets.eurosat import IMAGE_SET as EUROSAT
from vtab_harness.fetch.tfds import build, tensorflow_datasets


class Tfds:
    """Stands in for the package, as far as it is used."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self.error = error

    def builder(self, name: str, *, data_dir: str) -> SimpleNamespace:
        def download_and_prepare() -> None:
            self.asked.append((name, data_dir))
            if self.error is not None:
                raise self.error
            directory = Path(data_dir, name, "2.0.0")
            directory.mkdir(parents=True)
            (directory / "dataset_info.json").write_text("{}")

        return SimpleNamespace(download_and_prepare=download_and_prepare)


@pytest.mark.parametrize("absent", ["tensorflow", "tensorflow_datasets"])
def test_missing_package_names_the_extra(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", SimpleNamespace())
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(OptionError, match=r"vtab-harness\[tfds\]"):
        tensorflow_datasets()


def test_builds_once(tmp_path: Path) -> None:
    tfds = Tfds()
    build(tfds, EUROSAT, tmp_path)
    build(tfds, EUROSAT, tmp_path)
    assert tfds.asked == [("eurosat/rgb", str(tmp_path))]


def test_failure_of_tfds_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not prepare eurosat/rgb in .*AssertionError: fetch it by hand"):
        build(Tfds(AssertionError("fetch it by hand")), EUROSAT, tmp_path)


def test_set_that_tfds_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="mini_digits is not a data set of TensorFlow Datasets"):
        build(Tfds(), replace(EUROSAT, name="mini_digits", tfds=""), tmp_path)
