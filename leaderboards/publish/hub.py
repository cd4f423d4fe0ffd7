"""The Hugging Face Hub, through its client, with its endpoint, token and offline mode: what is there, and the push."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from leaderboards.publish.upload import Upload
from leaderboards.text import shortened
from vtab_harness.api.errors import OfflineError, OptionError, StorageError, VtabError
from vtab_harness.fetch.reachable import unreachable

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LARGEST_TEXT = 1 << 18
"""Bytes of a file whose lines are compared."""
_LOG_IN = "Log in with `hf auth login`, or set HF_TOKEN, to a token that may write."


class HubFile(NamedTuple):
    """A file of a repository; `git` is the hash of its blob, `sha256` that of its content where it is stored apart."""

    size: int
    git: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """What is in a repository.

    Attributes:
        name: ``ORG/NAME``.
        kind: ``dataset`` or ``model``.
        commit: The newest of its main branch.
        files: By name.
    """

    name: str
    kind: str
    commit: str
    files: dict[str, HubFile]


def page(name: str, kind: str) -> str:
    """Returns the address of a repository."""
    return f"{_api().endpoint}/{'datasets/' if kind == 'dataset' else ''}{name}"


def require_token() -> None:
    """Checks that there is a token, before anything is sent.

    Raises:
        OptionError: There is none.
    """
    from huggingface_hub import get_token

    if not get_token():
        raise OptionError("--push: nobody is logged in to the Hugging Face Hub; nothing was sent.", _LOG_IN)


def look(name: str, kind: str) -> Repository:
    """Returns what is in a repository.

    Raises:
        OfflineError: The Hub cannot be asked.
        StorageError: It has no such repository, or does not show it.
    """
    from huggingface_hub import constants

    api = _api()
    if constants.HF_HUB_OFFLINE:
        raise OfflineError("HF_HUB_OFFLINE forbids to ask the Hugging Face Hub.", "Unset it.")
    if reason := unreachable(api.endpoint):
        raise OfflineError(f"{api.endpoint} cannot be reached ({reason}).")
    ask = api.dataset_info if kind == "dataset" else api.model_info
    try:
        info = ask(name, files_metadata=True, timeout=30)
    # The client changes its HTTP library between versions, and with it what it raises.
    except Exception as error:
        raise _explained(error, name, kind) from error
    # What results and the next commit name; Hub and mirrors give nothing else.
    if not re.fullmatch("[0-9a-f]{40}", info.sha or ""):
        raise StorageError(f"{api.endpoint} names no commit of the {kind} {name}.", "Set HF_ENDPOINT to a Hub.")
    files = {
        file.rfilename: HubFile(file.size or 0, file.blob_id or "", file.lfs.sha256 if file.lfs else None)
        for file in info.siblings or ()
    }
    return Repository(name, kind, str(info.sha), files)


def read(there: Repository, name: str) -> bytes | None:
    """Returns a small file of a repository; None where it has none.

    Raises:
        StorageError: It is larger than `LARGEST_TEXT`, or cannot be read.
        OfflineError: The Hub cannot be asked.
    """
    file = there.files.get(name)
    if file is None:
        return None
    if file.size > LARGEST_TEXT:
        raise StorageError(f"{name} of {there.name} has {file.size:,} bytes, which is too much.", "Mend it there.")
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = _api().hf_hub_download(
                there.name, name, repo_type=there.kind, revision=there.commit, local_dir=folder
            )
            return Path(path).read_bytes()
        except Exception as error:
            raise _explained(error, there.name, there.kind) from error


def push(upload: Upload, names: list[str], there: Repository, create_pr: bool) -> tuple[str, str]:
    """Sends some files of an upload in one commit on what was looked at.

    Returns:
        The commit, and the address of it or of the pull request.

    Raises:
        VtabError: The Hub refuses it; nothing has changed there.
    """
    from huggingface_hub import CommitOperationAdd

    operations = [CommitOperationAdd(name, upload.files[name]) for name in names]
    try:
        done = _api().create_commit(
            upload.repository,
            operations,
            commit_message=shortened(upload.message, 120),
            repo_type=upload.kind,
            create_pr=create_pr,
            # Somebody else's commit in the meantime makes it fail, rather than be undone.
            parent_commit=there.commit,
        )
    except Exception as error:
        raise _explained(error, upload.repository, upload.kind) from error
    return done.oid, done.pr_url or done.commit_url


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="vtab-harness")


def _explained(error: Exception, name: str, kind: str) -> VtabError:
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    what = f"The {kind} {name}"
    if isinstance(error, GatedRepoError):
        return StorageError(f"{what} is gated.", "Ask for access on its page, and log in with `hf auth login`.")
    if isinstance(error, RepositoryNotFoundError):
        make = f"{_api().endpoint}/new{'-dataset' if kind == 'dataset' else ''}"
        return StorageError(f"{what} is gone, renamed, private or not made yet.", f"Log in, or make it: {make}")
    if isinstance(error, HfHubHTTPError):
        says = shortened(error.server_message or str(error), 400)
        status = error.response.status_code
        if status == 401:
            return StorageError(f"{what}: the Hub does not accept the token: {says}", _LOG_IN)
        if status == 403:
            return StorageError(f"{what} may not be written with this token: {says}", "Give --create-pr, or log in.")
        if status in (409, 412):
            return StorageError(f"{what} has changed in the meantime: {says}", "Give the command again.")
        return StorageError(f"{what}: the Hub refuses: {says}")
    return OfflineError(f"{what} cannot be reached: {type(error).__name__}: {error}", "Give the command again.")
