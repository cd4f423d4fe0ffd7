"""What the Hugging Face Hub calls a benchmark: a dataset repository whose ``eval.yaml`` lists leaderboards, its tasks.

The form is that of https://huggingface.co/docs/hub/eval-results; docs/publishing.md says what of it is assumed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from leaderboards.board.board import Board
from leaderboards.text import YAML_WIDTH
from vtab_harness.api.errors import DataError, OptionError
from vtab_harness.sweep.store import storage_errors, write_atomically

PLACEHOLDER = "vtab-harness/{suite}"
"""Dataset repository that evaluation results name if no other is given."""
FRAMEWORK = "vtab-harness"
"""Of ``eval.yaml``. Assumed: the Hub keeps a list of frameworks, and this one has to be added to it first."""
EVAL_YAML = "eval.yaml"


@dataclass(frozen=True, slots=True)
class HubBenchmark:
    """The dataset repository that results are reported for, and what is said of them beside.

    Attributes:
        repository: ``ORG/NAME``.
        revision: Commit of that repository, 40 hexadecimal digits, or None.
        source: Address of records or a paper that the results come from, or None.

    Raises:
        OptionError: One of them is not in that form.
    """

    repository: str
    revision: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        """Checks the form, which the Hub would otherwise refuse after the work is done."""
        check_repository(self.repository, "--hub-benchmark")
        if self.revision is not None and not re.fullmatch("[0-9a-f]{40}", self.revision):
            raise OptionError(f"--hub-revision {self.revision!r}: a commit has 40 hexadecimal digits.")
        if self.source is not None and not re.fullmatch(r"https?://[!-~]+", self.source):
            raise OptionError(f"--hub-source {self.source!r} is no web address.", "Write https://...")


def check_repository(name: str, option: str) -> None:
    """Checks the name of a repository.

    Raises:
        OptionError: The Hub has no such names; names the option.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
        if name.count("/") != 1:
            raise HFValidationError("it has no organisation or user before a slash")
    except HFValidationError as error:
        raise OptionError(f"{option} {name!r} cannot be a repository: {error}", "Write ORG/NAME.") from error


def part(text: str) -> str:
    """Returns a name as a part of a task's id or of a file's name: letters, digits and ``._+-``.

    A name that is anything else, or long, ends in a hash of what it was, so that two do not become one.
    """
    kept = re.sub(r"[^A-Za-z0-9._+-]+", "-", text)[:80].strip(".-")
    if text and kept == text:
        return text
    return f"{kept}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}".strip("-")


def how_measured(board: Board, variant: str | None = None) -> tuple[str, str, str]:
    """Returns what may not share a leaderboard: protocol, labels (``1000-labels``, ``5-shot``) and data variant.

    Args:
        board: The scores.
        variant: Of a task; by default those of all tasks together, as of the mean.
    """
    if variant is None:
        variant = "+".join(sorted(set(board.variants.values())))
    labels = board.train_examples
    protocol = board.protocol.removesuffix(f"-{labels}")
    return part(protocol), part(labels if labels.endswith("-shot") else f"{labels}-labels"), part(variant)


def task_ids(board: Board) -> list[str]:
    """Returns the Hub's ids of the mean and of every task, for instance ``dmlab/linear-v1/1000-labels/vtab-1k``.

    The mean carries the variants of all tasks.
    """
    every: list[tuple[str, str | None]] = [("mean", None)]
    every += [(task.name, board.variants.get(task.name, "")) for task in board.tasks]
    return ["/".join((part(name), *how_measured(board, variant))) for name, variant in every]


def as_eval_yaml(board: Board, existing: bytes | None = None) -> str:
    """Returns ``eval.yaml`` with the mean and the tasks of a board.

    Args:
        board: The scores.
        existing: The file that is there: what it says stays, and tasks that it lacks are added.

    Raises:
        DataError: What is there is no such file.
    """
    tasks = [{"id": name} for name in task_ids(board)]
    says: dict[str, Any] = {
        "name": board.suite,
        "description": (
            f"Top-1 accuracy in % of image backbones on the {len(board.tasks)} tasks of {board.suite}, and the mean. "
            "An id says task, protocol, number of labels and data variant."
        ),
        "evaluation_framework": FRAMEWORK,
        "tasks": tasks,
    }
    if existing is not None:
        there = _read(existing)
        known = {task["id"] for task in there["tasks"]}
        says = there | {"tasks": there["tasks"] + [task for task in tasks if task["id"] not in known]}
        if says["tasks"] == there["tasks"]:
            return existing.decode()
    return str(yaml.safe_dump(says, sort_keys=False, width=YAML_WIDTH))


def _read(data: bytes) -> dict[str, Any]:
    try:
        there = yaml.safe_load(data.decode())
    # YAML that refers to itself, or nests a thousand times.
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{EVAL_YAML} of the repository cannot be read: {error}", "Mend it there.") from error
    tasks = there.get("tasks") if isinstance(there, dict) else None
    if not isinstance(tasks, list) or not all(isinstance(t, dict) and isinstance(t.get("id"), str) for t in tasks):
        raise DataError(f"{EVAL_YAML} of the repository has no list of tasks with ids.", "Mend it there.")
    return dict(there)


def write_eval_yaml(board: Board, path: Path) -> Path:
    """Writes ``eval.yaml`` of a repository that has none."""
    with storage_errors(path.parent, "writing a leaderboard"):
        write_atomically(path, as_eval_yaml(board).encode())
    return path
