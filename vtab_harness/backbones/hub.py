"""Published weights: from the local caches, or by download where the server can be reached at all.

A server that cannot be reached is noticed within seconds, before the download libraries start to retry.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import torch
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.file_download import repo_folder_name

from vtab_harness.api.errors import CheckpointError, OfflineError, UnknownNameError
from vtab_harness.fetch.reachable import unreachable

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_REMEDIES = "pass checkpoint=FILE with weights you have, or pass pretrained=false for random ones."


def from_hub(repository: str, filenames: Sequence[str]) -> Path:
    """Returns a local copy of the first of some files that a Hugging Face repository has.

    Args:
        repository: ``ORG/NAME``, with ``@REVISION`` where it is not the main one.
        filenames: The best first.

    Raises:
        OfflineError: None is in the cache, and the hub cannot be asked.
        UnknownNameError: The hub has no such repository.
        CheckpointError: The repository has none of the files.
    """
    name, _, revision = repository.partition("@")
    for filename in filenames:
        cached = try_to_load_from_cache(name, filename, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    place = f"{urlsplit(endpoint).netloc or endpoint}/{name}"
    remedy = f"Copy {name} into the Hugging Face cache ({constants.HF_HUB_CACHE}), {_REMEDIES}"
    message = f"{filenames[0]} of {place} is not in the Hugging Face cache, and "
    switched_off = [key for key in _OFFLINE if os.environ.get(key, "").upper() in {"1", "ON", "YES", "TRUE"}]
    if switched_off or constants.HF_HUB_OFFLINE:
        raise OfflineError(f"{message}{(switched_off or _OFFLINE)[0]} forbids to download it.", remedy)
    reason = unreachable(endpoint)
    if reason:
        raise OfflineError(f"{message}the hub cannot be reached ({reason}).", remedy)
    for filename in filenames:
        try:
            return Path(hf_hub_download(name, filename, revision=revision or None))
        except RepositoryNotFoundError as error:
            raise UnknownNameError(f"{place} does not exist or is private.", "Check the name, or log in.") from error
        except LocalEntryNotFoundError as error:
            raise OfflineError(f"{message}the download failed: {error}", remedy) from error
        except EntryNotFoundError:
            continue
        # The hub's client changes its HTTP library between versions, and with it what a failed download raises.
        except Exception as error:
            raise OfflineError(f"{message}the download failed: {type(error).__name__}: {error}", remedy) from error
    raise CheckpointError(f"{place} has none of {', '.join(filenames)}.", f"Choose another repository, or {_REMEDIES}")


def deciding(path: Path, repository: str) -> tuple[Path, ...]:
    """Returns what decides that a file of a repository is taken from where it is.

    Args:
        path: As `from_hub` returned it.
        repository: As it was told.

    Returns:
        Its folder, where better files may appear, and the file that says which revision a name stands for.
    """
    name, _, revision = repository.partition("@")
    kept = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model")
    return path.parent, kept / "refs" / (revision or constants.DEFAULT_REVISION)


def from_url(url: str, filename: str | None = None) -> Path:
    """Returns a local copy of a plain file on the web, kept where ``torch.hub`` keeps its own.

    Raises:
        OfflineError: It is not in the cache and cannot be downloaded.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / (filename or Path(urlsplit(url).path).name)
    if path.is_file():
        return path
    remedy = f"Download {url} to {path}, {_REMEDIES}"
    reason = unreachable(url)
    if reason:
        raise OfflineError(f"{url} is not in the torch cache and cannot be reached ({reason}).", remedy)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), progress=False)
    except (OSError, RuntimeError) as error:
        raise OfflineError(f"{url} could not be downloaded: {error}", remedy) from error
    return path
