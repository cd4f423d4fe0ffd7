"""The site is built without a warning, and its pages are linked the same way on GitHub."""

import os
import posixpath
import re
import subprocess
import sys
from pathlib import Path

import pytest

import leaderboards
import vtab_harness
import vtab_harness.testing

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make docs` makes; a warning is an error there."""
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet: what is not printed is not counted either.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert "Documentation built" in done.stderr
    return folder


def test_every_page_is_in_the_navigation(site: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    names = {"README.md": "index", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog"}
    for page in PAGES:
        assert f'href="{names.get(page.name, page.stem)}.html"' in index, page


@pytest.mark.parametrize("package", [vtab_harness, leaderboards, vtab_harness.testing], ids=lambda p: p.__name__)
def test_everything_public_is_in_the_reference(site: Path, package: object) -> None:
    name = package.__name__  # type: ignore[attr-defined]
    text = (site / "reference" / f"{name}.html").read_text(encoding="utf-8")
    public = [member for member in package.__all__ if not member.startswith("_")]  # type: ignore[attr-defined]
    assert len(public) >= 4
    assert [member for member in public if f"{name}.{member}" not in text] == []


def test_what_evaluate_takes_is_said(site: Path) -> None:
    text = (site / "reference" / "vtab_harness.html").read_text(encoding="utf-8")
    assert "train_examples" in text
    assert "micro_batch" in text


def test_the_tutorial_shows_its_outputs(site: Path) -> None:
    text = (site / "tutorial.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in text
    assert "exit code 0" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_of_the_repository(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if ":" not in link:
            assert (page.parent / posixpath.normpath(link)).exists(), link
