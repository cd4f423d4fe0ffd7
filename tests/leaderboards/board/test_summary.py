import json
import shlex
from dataclasses import asdict, dataclass, fields, replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_boards import made_board, with_holes

from leaderboards.board.board import Duplicate
from leaderboards.board.summary import Summary, summarise
from leaderboards.statistics.seeds import Aggregation
from vtab_harness.api.identity import LabelsIdentity, protocol_name
from vtab_harness.api.train_examples import TrainExamples
from vtab_harness.api.values import apply_overrides, parse_overrides
from vtab_harness.protocols.settings import build_protocol, identity, overridden


@dataclass(frozen=True)
class Settings:
    rates: tuple[float, ...] = ()
    steps: tuple[int, ...] | None = (1,)
    on: bool = False
    name: str = ""


def test_both_means_against_a_loop() -> None:
    board = made_board(6, 19, 3)
    summary = summarise(board, draws=50)
    for b in range(6):
        scores = [sorted(board.accuracy[b, t])[1] for t in range(19)]
        groups: dict[str, list[float]] = {}
        for task, score in zip(board.tasks, scores, strict=True):
            groups.setdefault(task.group, []).append(score)
        means = [sum(values) / len(values) for values in groups.values()]
        assert [len(values) for values in groups.values()] == [7, 4, 8]
        assert summary.mean[b] == pytest.approx(sum(scores) / 19)
        assert summary.group_means[b] == pytest.approx(means)
        assert summary.petl_mean[b] == pytest.approx(sum(means) / 3)
        assert summary.interquartile_mean[b] == pytest.approx(np.mean(sorted(scores)[4:15]))
    assert summary.rank.tolist() == [1 + int((summary.mean > mean).sum()) for mean in summary.mean]
    assert (summary.mean_low <= summary.mean).all()
    assert (summary.mean <= summary.mean_high).all()
    assert (summary.rank_low <= summary.rank).all()
    assert (summary.rank <= summary.rank_high).all()


def test_an_incomplete_backbone_has_no_mean_and_a_command() -> None:
    board = with_holes(made_board(4, 19, 3), missing=[(1, 0), (1, 18)], diverged=[(2, 3)])
    summary = summarise(board, draws=50)
    for values in (
        summary.mean,
        summary.mean_low,
        summary.petl_mean,
        summary.interquartile_mean,
        summary.rank,
        summary.rank_low,
    ):
        assert np.isnan(values).tolist() == [False, True, True, False]
    assert np.isnan(summary.group_means[1:3]).all()
    assert np.isnan(summary.task_low).sum() == 3
    assert summary.missing[1] == (board.tasks[0].name, board.tasks[18].name)
    words = shlex.split(summary.commands[1])
    assert words == [
        *("vtab", "run", "--backbone", board.backbones[1].spec, "--protocol", "linear"),
        *("--task", board.tasks[0].name, "--task", board.tasks[18].name, "--seeds", "3"),
    ]
    assert "--overwrite" in shlex.split(summary.commands[2])
    assert summary.commands[0] == summary.commands[3] == ""
    # The ranks of the others are those without it.
    assert np.nanmax(summary.rank) == 2


def test_the_command_gives_changed_settings_and_labels_so_that_the_run_has_the_same_identity() -> None:
    settings = {"l2_count": 5, "l2_min": 1e-07, "standardise": False}
    protocol = build_protocol("linear", settings)
    name = protocol_name(identity(protocol), LabelsIdentity("5-shot"))
    board = replace(
        with_holes(made_board(1, 19, 1, protocol=name), missing=[(0, 0)]),
        overridden=overridden(protocol),
        train_examples="5-shot",
    )
    words = shlex.split(summarise(board, draws=20).commands[0])
    given = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    assert len(given) == 3
    again = build_protocol(words[words.index("--protocol") + 1], parse_overrides(given))
    labels = LabelsIdentity(str(TrainExamples.parse(words[words.index("--train-examples") + 1])))
    assert protocol_name(identity(again), labels) == board.protocol


def test_lists_and_switches_are_given_as_set_reads_them() -> None:
    changed = Settings((0.1, 1e-05), None, True, "a b")
    board = with_holes(made_board(1, 19, 1), missing=[(0, 0)])
    recorded = json.loads(json.dumps(asdict(changed)))
    words = shlex.split(summarise(replace(board, overridden=recorded), draws=20).commands[0])
    given = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    assert apply_overrides(Settings(), parse_overrides(given), "test") == changed


def test_the_same_board_gives_the_same_intervals() -> None:
    board = made_board(3, 19, 3)
    one, two = summarise(board, draws=30), summarise(board, draws=30)
    np.testing.assert_array_equal(one.mean_low, two.mean_low)
    np.testing.assert_array_equal(one.rank_high, two.rank_high)


@given(st.integers(0, 2**32), st.sampled_from([1, 3, 9]), st.sampled_from(get_args(Aggregation)), st.data())
@settings(max_examples=40)
def test_what_is_said_of_a_row_does_not_depend_on_the_others(
    seed: int, seeds: int, aggregation: Aggregation, data: st.DataObject
) -> None:
    board = made_board(6, 19, seeds, np.random.default_rng(seed), examples=data.draw(st.sampled_from([7, 2000])))
    board = replace(with_holes(board, missing=[(1, 0)], diverged=[(2, 3)]), aggregation=aggregation)
    whole = summarise(board, draws=20)
    # Rows that are left, in any order, some of them doubled under another name.
    chosen = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    some = board.select(chosen)
    rows = tuple(replace(row, key=f"{row.key}-{i}") for i, row in enumerate(some.backbones))
    found = summarise(replace(some, backbones=rows), draws=20)
    for field in fields(Summary):
        value = getattr(whole, field.name)
        # Ranks and ties are of a row among others.
        if isinstance(value, np.ndarray) and not field.name.startswith(("rank", "tied", "different", "better")):
            np.testing.assert_array_equal(getattr(found, field.name), value[chosen], field.name)
    assert found.missing == tuple(whole.missing[i] for i in chosen)
    assert found.commands == tuple(whole.commands[i] for i in chosen)
    # Ranks are among those that are there: only their order follows from the board.
    there = [i for i in dict.fromkeys(chosen) if not np.isnan(whole.rank[i])]
    order = [found.rank[chosen.index(i)] for i in there]
    assert np.argsort(order, kind="stable").tolist() == np.argsort(whole.rank[there], kind="stable").tolist()


def test_records_that_disagree_are_computed_again() -> None:
    board = made_board(2, 19, 1)
    doubled = Duplicate(board.backbones[0].key, board.tasks[2].name, 0, ("a", "b"), (1, 2))
    summary = summarise(replace(board, duplicates=(doubled,)), draws=20)
    assert summary.missing == ((board.tasks[2].name,), ())
    assert summary.commands[0].endswith("--overwrite")


def test_a_command_stays_one_command_whatever_the_spec_holds() -> None:
    board = with_holes(made_board(2, 19, 1, names=["timm:x; rm -rf /\necho 'y'"]), missing=[(0, 0), (1, 0)])
    for row, command in zip(board.backbones, summarise(board, draws=20).commands, strict=True):
        assert "\n" not in command
        assert shlex.split(command)[3] == row.spec.replace("\n", " ")


def test_no_complete_backbone_is_no_error() -> None:
    summary = summarise(with_holes(made_board(1, 19, 1), missing=[(0, 0)]), draws=20)
    assert np.isnan(summary.mean).all()
