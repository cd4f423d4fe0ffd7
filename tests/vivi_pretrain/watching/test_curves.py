"""`vivi plot`: a picture of whatever a run has, and words for what it lacks."""

import json
from pathlib import Path

import pytest
from PIL import Image

from vivi_pretrain.watching.curves import plot_run
from vtab_harness.api.errors import DataError, OptionError, StorageError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    figures = {"loss": 1.5, "exemplar_loss": None, "retrieval_accuracy": 0.5, "feature_distance": 1.0, "lr": 0.1}
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, **figures}) + "\n")
    return tmp_path


def test_one_line_of_figures_is_drawn(run: Path) -> None:
    with Image.open(plot_run(run, run / "plots" / "curves.png")) as image:
        assert image.width > 1000


def test_names_of_figures_are_no_mathematics(run: Path) -> None:
    for name in ("$\\frac{loss", "a_loss$", "b$$_loss"):
        with (run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": 2, name: 1.0}) + "\n")
    assert plot_run(run, run / "curves.png").exists()


@pytest.mark.parametrize(("name", "error"), [("curves.foo", OptionError), ("metrics.jsonl/curves.png", StorageError)])
def test_a_file_that_cannot_be_written_is_named(run: Path, name: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"foo|metrics\.jsonl"):
        plot_run(run, run / name)


def test_a_run_without_figures_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        plot_run(tmp_path, tmp_path / "curves.png")
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(DataError, match="no figures yet"):
        plot_run(tmp_path, tmp_path / "curves.png")
