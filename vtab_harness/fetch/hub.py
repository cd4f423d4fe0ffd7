"""Copies of image sets on the Hugging Face Hub, through its client: its cache, tokens, endpoint and offline mode."""

from __future__ import annotations

from pathlib import Path

from vtab_harness.api.errors import DataError, OfflineError, VtabError
from vtab_harness.api.layouts import Repository

_SPLITS = ("train", "val", "validation", "trainval", "train800", "val200", "train800val200", "test")


def size_on_hub(repository: Repository) -> int | None:
    """Returns the bytes of what would be fetched; None where the Hub does not say, for whatever reason."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().dataset_info(repository.name, revision=repository.revision, files_metadata=True, timeout=5)
        files = [file for file in info.siblings or () if _wanted(repository, file.rfilename)]
        return sum(file.size or 0 for file in files) or None
    # Only a number for people: whatever its client raises about a network, it is raised again when it is fetched.
    except Exception:
        return None


def fetch_repository(repository: Repository, folder: Path) -> Path:
    """Fetches a repository into the Hub's cache, and links it from a data folder.

    Args:
        repository: Which.
        folder: Of the image set in the data folder; created if need be.

    Returns:
        The link.

    Raises:
        OfflineError: It is not in the cache, and the Hub cannot be asked.
        DataError: The Hub has no such repository or revision, or it asks for a login.
        OSError: The link cannot be made.
    """
    from huggingface_hub import constants, snapshot_download

    where = f"{repository.name} (revision {repository.revision})"
    try:
        path = snapshot_download(
            repository.name, repo_type="dataset", revision=repository.revision, allow_patterns=_patterns(repository)
        )
    # The client changes its HTTP library between versions, and with it what a failed download raises.
    except Exception as error:
        raise _explained(error, where, constants.HF_HUB_CACHE) from error
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / repository.folder
    if link.is_symlink():
        link.unlink()
    if link.exists():
        raise DataError(f"{link} is in the way of what was fetched into {path}.", "Move or delete it.")
    link.symlink_to(path, target_is_directory=True)
    return link


def _explained(error: Exception, where: str, cache: str) -> VtabError:
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return DataError(f"{where} is gated.", "Ask for access on its page, and log in: hf auth login")
    if isinstance(error, RepositoryNotFoundError):
        return DataError(f"{where} is gone, renamed or private.", "Log in if it is yours, or fetch the set by hand.")
    if isinstance(error, RevisionNotFoundError):
        return DataError(f"{where}: there is no such revision any more.", "Fetch the set by hand.")
    if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled):
        return OfflineError(f"{where} is not in the cache {cache}, and the Hub cannot be asked: {error}")
    return OfflineError(f"{where} could not be fetched: {type(error).__name__}: {error}", "Give the command again.")


def _patterns(repository: Repository) -> list[str]:
    if repository.layout == "webdataset":
        return [f"{split}/{name}" for split in _SPLITS for name in ("*.tar", "nshards.txt")]
    return [f"{repository.config}/*.parquet" if repository.config else "*.parquet"]


def _wanted(repository: Repository, name: str) -> bool:
    from fnmatch import fnmatch

    return any(fnmatch(name, pattern) for pattern in _patterns(repository))
