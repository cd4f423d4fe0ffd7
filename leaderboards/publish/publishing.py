"""The whole of ``vtab publish``: the leaderboard is written, shown against what is there, and pushed when told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from leaderboards.exports.hub_benchmark import EVAL_YAML, HubBenchmark, as_eval_yaml, check_repository
from leaderboards.exports.hugging_face import placeholder
from leaderboards.leaderboard import LeaderboardSettings, benchmark_of, build, find_row
from leaderboards.publish import hub
from leaderboards.publish.changes import changes, in_words
from leaderboards.publish.settings import PublishSettings
from leaderboards.publish.upload import Upload, for_board, for_model, record_files, repository_of
from leaderboards.records.scan import find_records
from vtab_harness.api.errors import OfflineError, VtabError
from vtab_harness.api.settings import part_of
from vtab_harness.cli.plain_text import plain

Tell = Callable[[str], None]


def publish(settings: PublishSettings, tell: Tell) -> None:
    """Writes a leaderboard into a folder, and shows or pushes it and the results of one backbone.

    Args:
        settings: What to publish, and where to.
        tell: Is given lines for a person.

    Raises:
        OptionError: Nothing fits the settings, or nobody is logged in who could push; nothing was sent.
        StorageError: A repository is gone, gated or changed, or refuses.
        OfflineError: With `push`, the Hub cannot be reached.
    """
    for name, option in ((settings.board, "--board"), (settings.repository, "--repository")):
        if name is not None:
            check_repository(name, option)
    if settings.push:
        hub.require_token()
    table = part_of(settings, LeaderboardSettings)
    if settings.board is not None:
        source = settings.hub_source or hub.page(settings.board, "dataset")
        table = replace(table, hub_benchmark=settings.hub_benchmark or settings.board, hub_source=source)
    board, summary = build(find_records(settings.results), table, tell)
    benchmark = benchmark_of(table) or placeholder(board)
    row, model = -1, ""
    if settings.backbone is not None:
        row = find_row(board, settings.backbone, "--backbone")
        model = settings.repository or repository_of(board.backbones[row])
        check_repository(model, "--backbone")
        # What could not be sent is said before anything is.
        for_model(model, board, summary, row, benchmark)
    if settings.board is not None:
        records = record_files(board, settings.results) if settings.records else {}
        there = _look(settings.board, "dataset", settings.push, tell)
        known = None if isinstance(there, VtabError) else there
        eval_yaml = as_eval_yaml(board, hub.read(known, EVAL_YAML) if known else None).encode()
        pushed = _send(for_board(settings.board, board, settings.out, eval_yaml, records), there, settings, tell)
        if records:
            tell("Records and results.csv say commands, paths and devices of the machines they were made on.")
        if pushed and benchmark.repository == settings.board and not settings.create_pr:
            benchmark = replace(benchmark, revision=settings.hub_revision or pushed)
    if settings.backbone is not None:
        benchmark = _with_revision(benchmark, tell)
        there = _look(model, "model", settings.push, tell)
        _send(for_model(model, board, summary, row, benchmark), there, settings, tell)
    if not settings.push:
        tell("Nothing was sent. Give --push to send it.")


def _with_revision(benchmark: HubBenchmark, tell: Tell) -> HubBenchmark:
    """Returns the benchmark with its newest commit, where none is given and the Hub says which it is."""
    if benchmark.revision is not None:
        return benchmark
    try:
        return replace(benchmark, revision=hub.look(benchmark.repository, "dataset").commit)
    except VtabError as error:
        tell(f"The results name no commit of {benchmark.repository}: {plain(error.message)}")
        return benchmark


def _look(name: str, kind: str, push: bool, tell: Tell) -> hub.Repository | VtabError:
    """Returns what is in a repository, or why that is not known, which stops a push only."""
    try:
        return hub.look(name, kind)
    except VtabError as error:
        if push:
            raise
        return error


def _send(upload: Upload, there: hub.Repository | VtabError, settings: PublishSettings, tell: Tell) -> str | None:
    """Shows an upload, and pushes it when told; returns the commit that it made.

    Raises:
        VtabError: There is no such repository, or it refuses.
    """
    known = None if isinstance(there, VtabError) else there
    found = changes(upload, known)
    at = f", over commit {known.commit[:8]}" if known else ""
    tell(f"\nTo the {upload.kind} {hub.page(upload.repository, upload.kind)}{at}:")
    for line in in_words(upload, found, known):
        tell(line)
    if isinstance(there, VtabError):
        if not isinstance(there, OfflineError):
            raise there
        tell(f"What is there is not known, and files may be the same: {plain(there.message)}")
    if not settings.push or known is None:
        return None
    if not found.to_send:
        tell("Nothing to send: everything is there.")
        return None
    commit, address = hub.push(upload, found.to_send, known, settings.create_pr)
    count = len(found.to_send)
    tell(f"Sent {count:,} file{'s' * (count != 1)}: {plain(address)}")
    return commit
