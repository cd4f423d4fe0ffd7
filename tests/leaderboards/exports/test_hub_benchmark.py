import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from made_boards import made_board

from leaderboards.exports.hub_benchmark import HubBenchmark, as_eval_yaml, part, task_ids
from vtab_harness.api.errors import DataError, OptionError

BOARD = made_board(2, 19)


def test_an_id_says_task_protocol_labels_and_variant() -> None:
    ids = task_ids(BOARD)
    assert ids[0] == "mean/linear-v1/1000-labels/vtab-1k"
    assert ids[1] == f"{BOARD.tasks[0].name}/linear-v1/1000-labels/vtab-1k"
    few = replace(BOARD, protocol="linear-v1-5-shot", train_examples="5-shot")
    assert task_ids(few)[0] == "mean/linear-v1/5-shot/vtab-1k"
    mixed = replace(BOARD, variants=dict(BOARD.variants) | {"dmlab": "jpeg75"})
    ids = task_ids(mixed)
    assert ids[0] == "mean/linear-v1/1000-labels/jpeg75+vtab-1k"
    assert {name for name in ids if name.endswith("jpeg75")} == {"dmlab/linear-v1/1000-labels/jpeg75"}


def test_what_may_not_share_a_board_shares_no_id() -> None:
    boards = [
        BOARD,
        replace(BOARD, protocol="finetune-v1"),
        replace(BOARD, protocol="linear-v1-modified-1a2b3c4d"),
        replace(BOARD, protocol="linear-v1-5-shot", train_examples="5-shot"),
        replace(BOARD, variants={task.name: "jpeg75" for task in BOARD.tasks}),
    ]
    ids = [name for board in boards for name in task_ids(board)]
    assert len(set(ids)) == len(ids) == 5 * 20


@given(st.text(), st.text())
def test_any_name_is_one_harmless_part_and_stays_its_own(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,89}", part(one))
    assert (part(one) == part(other)) == (one == other)


@pytest.mark.parametrize("name", ["..", "../../etc", "/", "", "a/b", ".hidden", "\udc80", "x" * 500])
def test_names_of_records_lead_nowhere(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,89}", part(name))


def test_the_tasks_of_a_second_board_are_added_and_the_rest_stays() -> None:
    first = yaml.safe_load(as_eval_yaml(BOARD))
    assert [task["id"] for task in first["tasks"]] == task_ids(BOARD)
    assert {*first} == {"name", "description", "evaluation_framework", "tasks"}
    edited = b"# by hand\nname: Ours\ndescription: d\nevaluation_framework: f\ntasks:\n- id: mine\n  split: test\n"
    merged = yaml.safe_load(as_eval_yaml(BOARD, edited))
    assert merged["name"] == "Ours"
    assert merged["tasks"][0] == {"id": "mine", "split": "test"}
    assert [task["id"] for task in merged["tasks"][1:]] == task_ids(BOARD)
    whole = as_eval_yaml(BOARD, edited)
    assert as_eval_yaml(BOARD, whole.encode()) == whole
    # Where nothing is to add, every byte stays.
    commented = f"# a comment\n{whole}"
    assert as_eval_yaml(BOARD, commented.encode()) == commented


@pytest.mark.parametrize(
    "there", [b"\xff", b"a: [", b"- 1", b"tasks: {}", b"tasks: [1]", b"tasks: [{id: 1}]", b"[" * 9999]
)
def test_what_is_no_eval_yaml_is_not_overwritten(there: bytes) -> None:
    with pytest.raises(DataError, match=r"eval\.yaml"):
        as_eval_yaml(BOARD, there)


@pytest.mark.parametrize(
    ("given_", "option"),
    [
        ({"repository": "no-slash"}, "--hub-benchmark"),
        ({"repository": "a/../b"}, "--hub-benchmark"),
        ({"repository": "a/b", "revision": "main"}, "--hub-revision"),
        ({"repository": "a/b", "source": "javascript:alert(1)"}, "--hub-source"),
    ],
)
def test_a_benchmark_that_the_hub_would_refuse(given_: dict[str, str], option: str) -> None:
    with pytest.raises(OptionError, match=option):
        HubBenchmark(**given_)
