"""Makes the made-up record importable, and a Hub cache for those who load weights from it."""

import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from vtab_harness.backbones import hub
from vtab_harness.formats.certificate_files import certificate_of

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def hub_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the folder of ``mine/net`` in an offline cache as huggingface_hub lays it out.

    It has ``snapshots`` by revision, and in ``refs/main`` which of them ``main`` stands for; both are up to the test.
    """
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "unreachable", lambda url: pytest.fail("asked the hub"))
    repository = tmp_path / "models--mine--net"
    for name in ("snapshots", "refs"):
        (repository / name).mkdir(parents=True)

    def ask(name: str, filename: str, revision: str | None) -> str | None:
        path = repository / "snapshots" / (repository / "refs" / (revision or "main")).read_text() / filename
        return str(path) if path.exists() else None

    monkeypatch.setattr(hub, "try_to_load_from_cache", ask)
    return repository


@pytest.fixture
def drawn_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """For images that are drawn under published keys: no certificate says what their pixels must be."""
    monkeypatch.setattr(
        "vtab_harness.prepared.certificates.certificate_of",
        lambda image_set: {part: value for part, value in certificate_of(image_set).items() if part != "pixels"},
    )
