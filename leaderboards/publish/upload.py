"""What a repository would get: names within it, and the bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from leaderboards.board.board import BackboneRow, Board
from leaderboards.board.summary import Summary
from leaderboards.exports.hub_benchmark import EVAL_YAML, HubBenchmark, part
from leaderboards.exports.hugging_face import evaluation_results, results_file
from leaderboards.leaderboard import files_of
from leaderboards.records.record import read_usable
from vtab_harness.api.errors import OptionError, StorageError
from vtab_harness.formats.json_file import read_bounded
from vtab_harness.sweep.store import predictions_file, storage_errors

LARGEST = 1 << 30
"""Bytes of one file. Nothing that a board consists of comes near."""
RECORDS = "records/"
"""Folder of the records within a repository."""
MOST_FILES = 10_000
"""Of one commit. Assumed: the Hub's documentation asks for fewer, and names no limit."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Files for a repository.

    Attributes:
        repository: ``ORG/NAME``.
        kind: ``dataset`` or ``model``.
        files: Name within the repository -> its bytes, or the file that has them.
        message: Of the commit.
    """

    repository: str
    kind: Literal["dataset", "model"]
    files: dict[str, bytes | Path]
    message: str

    def read(self, name: str) -> bytes:
        """Returns the bytes of a file.

        Raises:
            StorageError: It cannot be read.
        """
        content = self.files[name]
        return content if isinstance(content, bytes) else _read(content)


def _read(path: Path) -> bytes:
    with storage_errors(path.parent, f"reading {path.name}"):
        try:
            return read_bounded(path, LARGEST)
        except ValueError as error:
            raise StorageError(f"{path} cannot be published: {error}.", "Move it away.") from error


def for_model(repository: str, board: Board, summary: Summary, row: int, benchmark: HubBenchmark) -> Upload:
    """Returns the evaluation-results file of one backbone.

    Raises:
        OptionError: The backbone lacks tasks: it has no mean.
    """
    if missing := summary.missing[row]:
        raise OptionError(
            f"--backbone {board.backbones[row].spec}: it lacks {', '.join(missing)}.",
            f"Finish it first: {summary.commands[row]}",
        )
    text = evaluation_results(board, summary, row, benchmark)
    name = f".eval_results/{results_file(board)}"
    return Upload(repository, "model", {name: text.encode()}, f"Results of {board.suite}, {board.protocol}")


def for_board(repository: str, board: Board, out: Path, eval_yaml: bytes, records: dict[str, bytes | Path]) -> Upload:
    """Returns a leaderboard as it lies in a folder, with the files of its records.

    Args:
        repository: Of the dataset.
        board: The scores.
        out: What `leaderboards.leaderboard.build` has written; files of others in it stay there.
        eval_yaml: The list of the benchmark's tasks.
        records: See `record_files`.

    Raises:
        OptionError: There are more files than one commit should have.
    """
    written = [name for name in files_of(out) if not name.startswith("hugging_face/") and name != EVAL_YAML]
    files: dict[str, bytes | Path] = {_harmless(name): out / name for name in written}
    files |= {EVAL_YAML: eval_yaml, **records}
    if len(files) > MOST_FILES:
        raise OptionError(
            f"--board: {len(files):,} files are more than the {MOST_FILES:,} of one commit.",
            "Give --no-records, and send the results folder with `hf upload-large-folder`.",
        )
    return Upload(repository, "dataset", files, f"Leaderboard of {board.suite}, {board.protocol}")


def record_files(board: Board, results: Iterable[Path]) -> dict[str, bytes | Path]:
    """Returns the records of a table with their predictions, as they lie in their results folders, below ``records/``.

    Raises:
        StorageError: A record is gone, or was changed since the table was made; names it.
    """
    folders = list(results)
    files: dict[str, bytes | Path] = {}
    for text in board.paths[board.status != ""].tolist():
        path = Path(text)
        name = next(path.relative_to(folder) for folder in folders if path.is_relative_to(folder))
        head = read_usable(path).head
        files[_harmless(f"{RECORDS}{name}")] = path
        if head.predictions is not None:
            beside = predictions_file(path, head.predictions)
            # A link in its place could lead to a file that is nobody's business.
            if hashlib.sha256(_read(beside)).hexdigest() != head.predictions.sha256:
                raise StorageError(f"{beside} is not the file that {path.name} was written with.", "Remove both.")
            files[_harmless(f"{RECORDS}{name.with_name(beside.name)}")] = beside
    return files


def _harmless(name: str) -> str:
    """Returns the name of a file within a repository: no part of it leads out, is hidden or means anything to git."""
    return "/".join(part(piece) for piece in Path(name).parts)


def repository_of(row: BackboneRow) -> str:
    """Returns the model repository of a backbone.

    Raises:
        OptionError: Its spec names none, or not the repository as it is.
    """
    from vtab_harness.backbones.spec import parse

    hint = "Say with --repository ORG/NAME where its results go."
    try:
        spec = parse(row.spec)
    except OptionError as error:
        raise OptionError(f"--backbone {row.spec!r} names no repository of the Hub.", hint) from error
    if spec.prefix != "hf-hub" or spec.options or "@" in spec.name:
        raise OptionError(f"--backbone {row.spec}: only hf-hub:ORG/NAME, with nothing else, names a repository.", hint)
    return spec.name
