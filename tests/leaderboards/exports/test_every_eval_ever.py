import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_boards import HARMFUL, write_records

from leaderboards.board.board import Board
from leaderboards.board.from_records import build_board
from leaderboards.board.summary import Summary, summarise
from leaderboards.exports import every_eval_ever
from leaderboards.exports.hub_benchmark import task_ids
from leaderboards.records.frame import load
from vtab_harness import registry
from vtab_harness.api.errors import StorageError

MINI = registry.suites.get("mini").tasks
SPECS = ("hf-hub:ours/net", "timm:resnet50.a1_in1k", *HARMFUL)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    results = tmp_path_factory.mktemp("results")
    write_records(results, SPECS, "mini", seeds=2, examples=20, pretrained=True)
    write_records(results, ["timm:half"], MINI[:3], examples=20)
    return build_board(load(results))


@pytest.fixture(scope="module")
def summary(board: Board) -> Summary:
    return summarise(board, draws=50)


@pytest.fixture(scope="module")
def written(board: Board, summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("written")
    every_eval_ever.write(board, summary, out)
    return out


def logs(written: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    found = [(path, json.loads(path.read_bytes())) for path in written.rglob("*.json")]
    return {log["model_info"]["additional_details"]["spec"]: (path, log) for path, log in found}


def test_scores_and_lines_are_those_of_the_board(board: Board, summary: Summary, written: Path) -> None:
    found = logs(written)
    assert len(found) == len(SPECS), "the incomplete backbone is left out"
    for b, row in enumerate(board.backbones):
        if summary.missing[b]:
            continue
        path, log = next(pair for pair in found.values() if pair[1]["evaluation_id"].endswith(row.key))
        results = {result["evaluation_result_id"]: result["score_details"] for result in log["evaluation_results"]}
        assert list(results) == task_ids(board)
        assert [details["score"] for details in results.values()] == [summary.mean[b], *board.scores()[b]]
        detailed = log["detailed_evaluation_results"]
        data = (written / detailed["file_path"]).read_bytes()
        assert (written / detailed["file_path"]).parent == path.parent
        assert detailed["checksum"] == hashlib.sha256(data).hexdigest()
        lines = [json.loads(line) for line in data.splitlines()]
        assert len(lines) == detailed["total_rows"] == board.examples[b].sum()
        for t, name in enumerate(task_ids(board)[1:]):
            for s, seed in enumerate(board.seeds):
                right = [
                    line["evaluation"]["is_correct"]
                    for line in lines
                    if line["evaluation_result_id"] == name and line["metadata"]["seed"] == str(seed)
                ]
                assert board.right is not None
                expected = np.unpackbits(np.frombuffer(board.right[b, t, s], np.uint8), count=20)
                assert right == expected.astype(bool).tolist()
        line = lines[0]
        assert line["evaluation"]["is_correct"] == (line["output"]["raw"] == line["input"]["reference"])
        # The recipe that the schema's authors give.
        shown = {"raw": line["input"]["raw"], "reference": line["input"]["reference"]}
        hashed = json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()
        assert line["sample_hash"] == hashlib.sha256(hashed).hexdigest()
        assert {line["model_id"] for line in lines} == {log["model_info"]["id"]}
        assert {line["evaluation_id"] for line in lines} == {log["evaluation_id"]}


def test_a_sample_has_one_hash_whoever_was_tested(written: Path) -> None:
    hashes = [
        {json.loads(line)["sample_id"]: json.loads(line)["sample_hash"] for line in path.open()}
        for path in written.rglob("*_samples.jsonl")
    ]
    assert all(found == hashes[0] for found in hashes)
    assert len(set(hashes[0].values())) == 10 * 20


def test_who_was_tested_is_named_as_on_the_hub_where_it_is_there(board: Board, written: Path) -> None:
    found = logs(written)
    ids = [log["model_info"]["id"] for _, log in found.values()]
    assert len(set(ids)) == len(ids)
    assert found["hf-hub:ours/net"][1]["model_info"]["id"] == "ours/net"
    assert found["timm:resnet50.a1_in1k"][1]["model_info"]["id"] == "timm/resnet50.a1_in1k"
    row = next(row for row in board.backbones if row.spec == "hf-hub:ours/net")
    for spec, source in (
        ("timm:resnet18?pretrained=false", "timm"),
        ("hf-hub:../../x", "hf-hub"),
        ("hf-hub:ours/net@v2", "hf-hub"),
        ("local-dir:/home/me/a", "local-dir"),
    ):
        assert every_eval_ever.model_id(replace(row, spec=spec, source=source)) == f"{source}/{row.key}"
    assert every_eval_ever.model_id(replace(row, spec="timm:a", source="timm", pretrained=False)) == f"timm/{row.key}"


def test_the_same_board_gives_the_same_files_and_another_protocol_others(
    board: Board, summary: Summary, written: Path, tmp_path: Path
) -> None:
    names = {path.relative_to(written): path.read_bytes() for path in written.rglob("*") if path.is_file()}
    again = every_eval_ever.write(board, summary, tmp_path / "again")
    assert {path.relative_to(tmp_path / "again"): path.read_bytes() for path in again} == names
    other = every_eval_ever.write(replace(board, protocol="finetune-v1"), summary, tmp_path / "other")
    assert not {path.name for path in other} & {path.name for path in names}


def test_predictions_that_are_gone_are_named(board: Board, summary: Summary, tmp_path: Path) -> None:
    paths = board.paths.copy()
    paths[paths != None] = str(tmp_path / "gone.json")  # noqa: E711 (an array of objects)
    with pytest.raises(StorageError, match=r"gone\.json"):
        every_eval_ever.write(replace(board, paths=paths), summary, tmp_path)


@pytest.mark.skipif(shutil.which("every_eval_ever") is None, reason="needs every-eval-ever, which needs Python 3.12")
def test_the_schema_s_own_validator_accepts_every_file(written: Path) -> None:
    files = [str(path) for path in written.rglob("*") if path.is_file()]
    # It has an environment of its own.
    command = ["every_eval_ever", "validate", "--format", "json", *files]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    reports = json.loads(done.stdout)
    assert len(reports) == len(files) == 2 * len(SPECS)
    assert [(report["file"], report["errors"], report["warnings"]) for report in reports] == [
        (report["file"], [], []) for report in reports
    ]
    assert done.returncode == 0
