import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_boards import HARMFUL, made_board, made_record, restate, with_holes, write_record, write_records
from safetensors.numpy import load_file

from leaderboards.board.board import Board
from leaderboards.board.examples import task_examples
from leaderboards.board.from_records import fill_board
from leaderboards.board.summary import summarise
from leaderboards.records.names import pretraining_run, pretraining_step, row_names
from leaderboards.records.results import Results, read_results
from leaderboards.records.scan import find_records
from leaderboards.records.table_choice import Choice, choose
from vtab_harness import registry
from vtab_harness.api.errors import OptionError, StorageError, UnknownNameError
from vtab_harness.sweep.store import Store

MINI = registry.suites.get("mini").tasks


def read(
    *folders: Path, cache: Path | None = None, protocol: str | None = None, variant: tuple[str, ...] = ()
) -> Board:
    results = read_results(find_records(folders), cache)
    return fill_board(results, choose(results.readable, None, protocol, variant))


def test_every_record_is_where_it_belongs(tmp_path: Path) -> None:
    write_records(tmp_path, 3, "mini", 2)
    board = read(tmp_path)
    assert (board.suite, board.protocol, board.variant, board.date) == ("mini", "linear-v1", "mini-1", "2026-01-02")
    assert board.accuracy.shape == (3, 10, 2)
    assert not board.left_out
    rows, tasks = {row.key: i for i, row in enumerate(board.backbones)}, [task.name for task in board.tasks]
    count = 0
    for path, record in Store(tmp_path):
        at = rows[path.parents[2].name], tasks.index(path.parents[1].name), board.seeds.index(record.seed)
        assert board.accuracy[at] == record.accuracy
        assert (board.correct[at], board.examples[at]) == (record.score.correct, record.score.examples)
        assert board.paths[at] == str(path)
        count += 1
    assert count == board.accuracy.size


def test_scores_are_the_median_or_mean_of_seeds_and_empty_where_one_diverged_or_is_missing() -> None:
    board = with_holes(made_board(3, 19, 3), missing=[(0, 4)], diverged=[(1, 5)])
    middle = np.sort(board.accuracy[2], axis=1)[:, 1]
    np.testing.assert_array_equal(board.scores()[2], middle)
    np.testing.assert_allclose(replace(board, aggregation="mean").scores()[2], board.accuracy[2].sum(axis=1) / 3)
    assert np.argwhere(np.isnan(board.scores())).tolist() == [[0, 4], [1, 5]]
    assert board.complete().tolist() == [False, False, True]


def test_most_records_decide_and_the_rest_is_named(tmp_path: Path) -> None:
    write_records(tmp_path, 2, "mini")
    write_records(tmp_path, 1, MINI[:3], protocol="knn-v1")
    write_records(tmp_path / "other", 1, MINI[:1], variant="other-data")
    write_records(tmp_path, 1, ["caltech101"], variant="vtab-1k")
    results = read_results(find_records([tmp_path]))
    choice = choose(results.readable, None, None, ())
    assert (choice.suite, choice.protocol, choice.variants, choice.records) == ("mini", "linear-v1", ("mini-1",), 20)
    assert choice.others == (
        ("mini", "knn-v1", "mini-1", 3),
        ("mini", "linear-v1", "other-data", 1),
        ("vtab-1k", "linear-v1", "vtab-1k", 1),
    )
    reasons = sorted(item.reason for item in fill_board(results, choice).left_out)
    assert reasons == [
        "its data are the variant other-data, the table's are mini-1",
        "its protocol is knn-v1, the table's is linear-v1",
        "its protocol is knn-v1, the table's is linear-v1",
        "its protocol is knn-v1, the table's is linear-v1",
        "its task is not one of the suite mini",
    ]


def test_what_was_asked_for_is_taken(tmp_path: Path) -> None:
    write_records(tmp_path, 2, "mini")
    write_records(tmp_path, 1, MINI[:2], protocol="linear-v1", train_examples="5-shot")
    write_records(tmp_path / "other", 1, MINI[:1], variant="other-data")
    assert read(tmp_path, protocol="linear-v1-5-shot").train_examples == "5-shot"
    assert read(tmp_path, protocol="linear").protocol == "linear-v1"
    both = read(tmp_path, variant=("other-data", "mini-1"))
    assert both.variants == {MINI[0]: "other-data"} | dict.fromkeys(MINI[1:], "mini-1")
    with pytest.raises(OptionError, match="finetune"):
        read(tmp_path, protocol="finetune")
    with pytest.raises(OptionError, match="mini-2"):
        read(tmp_path, variant=("mini-2",))


def test_records_on_other_examples_are_left_out_though_the_variant_has_the_same_name(tmp_path: Path) -> None:
    write_records(tmp_path, 3, MINI[:2])
    odd = write_record(tmp_path, MINI[0], "timm:odd", examples=60)
    board = read(tmp_path)
    assert [(item.path, item.reason.partition(",")[0]) for item in board.left_out] == [
        (str(odd), "it is not like the 3 other records of this task: other keys in test")
    ]


def test_records_that_disagree_are_both_named_and_neither_is_used(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_records(one, 2, "mini")
    shutil.copytree(one, other)
    assert not read(one, other).left_out  # merged folders hold the same records twice
    changed = write_record(other, MINI[0], "timm:made_0", accuracy=1.0)
    board = read(one, other)
    (duplicate,) = board.duplicates
    assert (duplicate.task, duplicate.seed) == (MINI[0], 0)
    assert duplicate.paths == (str(one / changed.relative_to(other)), str(changed))
    assert {item.path for item in board.left_out} == set(duplicate.paths)
    row = [r.key for r in board.backbones].index(duplicate.backbone)
    assert np.isnan(board.scores()[row, 0])
    assert not np.isnan(np.delete(board.scores()[row], 0)).any()


def test_a_record_disagrees_also_by_its_predictions_alone(tmp_path: Path) -> None:
    record, scored = made_record(MINI[0])
    Store(tmp_path / "one").write(record, scored)
    # The same number right, of other examples.
    assert scored is not None
    Store(tmp_path / "other").write(
        record, replace(scored, predicted=scored.predicted[::-1].copy(), labels=scored.labels[::-1].copy())
    )
    board = read(tmp_path / "one", tmp_path / "other")
    assert len(board.duplicates) == 1
    assert len(set(board.duplicates[0].scores)) == 1
    assert (board.status == "").all()


def damage_half(path: Path) -> None:
    path.write_text(path.read_text()[: path.stat().st_size // 2])


def damage_schema(path: Path) -> None:
    path.write_text(path.read_text().replace("vtab-harness/record/2", "vtab-harness/record/9"))


def edit(path: Path, block: str, key: str, value: object) -> None:
    content = json.loads(path.read_text())
    content[block][key] = value
    path.write_text(json.dumps(content))


def damage_score(path: Path) -> None:
    edit(path, "score", "accuracy", 0.99)


def damage_count(path: Path) -> None:
    restate(path, 1)


def damage_impossible(path: Path) -> None:
    content = json.loads(path.read_text())
    content["score"] = {"accuracy": 1.0, "correct": 20, "examples": 10}
    path.write_text(json.dumps(content))


def damage_predictions(path: Path) -> None:
    (beside,) = path.parent.glob("*.predictions")
    beside.write_bytes(beside.read_bytes()[:-4])


def lose_predictions(path: Path) -> None:
    (beside,) = path.parent.glob("*.predictions")
    beside.unlink()


def damage_task_version(path: Path) -> None:
    content = json.loads(path.read_text())
    content["identity"]["task"]["version"] = "0"
    path.write_text(json.dumps(content))


def damage_backbone(path: Path) -> None:
    content = json.loads(path.read_text())
    content["identity"]["backbone"]["transform"]["input_size"] = [32]
    path.write_text(json.dumps(content))


def damage_type(path: Path) -> None:
    path.write_text("[1, 2]")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_half, "half written"),
        (damage_schema, "record/9"),
        (damage_score, "accuracy 0.99 is not"),
        (damage_count, "does not give the score"),
        (damage_impossible, "20 of 10"),
        (damage_predictions, "is not the file"),
        (lose_predictions, "predictions"),
        (damage_task_version, "version 0 of its task"),
        (damage_backbone, "input_size"),
        (damage_type, "no record"),
    ],
)
def test_a_bad_record_is_left_out_with_the_reason_and_the_others_stay(tmp_path: Path, damage, reason: str) -> None:
    good, bad = write_records(tmp_path, 2, MINI[:1])
    damage(bad)
    board = read(tmp_path)
    assert [item.path for item in board.left_out] == [str(bad)]
    assert reason in board.left_out[0].reason
    assert [path for path in board.paths.ravel() if path] == [str(good)]


def test_predictions_are_not_counted_where_that_is_not_wanted(tmp_path: Path) -> None:
    (path,) = write_records(tmp_path, 1, MINI[:1])
    damage_predictions(path)
    found = find_records([tmp_path])
    assert len(read_results(found, verify=False).frame) == 1
    assert len(read_results(found, verify=True).unusable) == 1


def test_a_cache_never_hides_a_change(tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "records.sqlite"
    folder = tmp_path / "results"
    first, second = write_records(folder, 2, MINI[:1])
    before = read(folder, cache=cache)
    np.testing.assert_array_equal(read(folder, cache=cache).accuracy, before.accuracy)
    lose_predictions(first)
    assert [item.path for item in read(folder, cache=cache).left_out] == [str(first)]
    damage_half(second)
    with pytest.raises(OptionError, match="None of the 0"):
        read(folder, cache=cache)


def test_the_cache_is_used_and_a_damaged_one_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, folder = tmp_path / "records.sqlite", tmp_path / "results"
    write_records(folder, 2, MINI[:2])
    found = find_records([folder])
    fresh = read_results(found, cache)
    with monkeypatch.context() as patched:
        patched.setattr("leaderboards.records.results.read_entry", lambda *a, **k: pytest.fail("read again"))
        same(read_results(found, cache), fresh)
    cache.write_bytes(b"SQLite format 3\0 and then nothing of the kind" * 100)
    same(read_results(found, cache), fresh)


def same(one: Results, other: Results) -> None:
    pd.testing.assert_frame_equal(one.frame, other.frame)
    assert (one.unusable, one.copies, one.folders) == (other.unusable, other.copies, other.folders)


def test_an_empty_or_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no record in"):
        find_records([tmp_path])
    with pytest.raises(StorageError, match="nowhere does not exist"):
        find_records([tmp_path / "nowhere"])
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / ".unfinished" / "seed0.json").write_text("{}")
    with pytest.raises(StorageError, match="no record in"):
        find_records([tmp_path])


def test_time_that_seeds_share_is_counted_once(tmp_path: Path) -> None:
    write_records(tmp_path, 1, MINI[:1], 3)
    assert np.nansum(read(tmp_path).seconds) == pytest.approx(3.75)
    write_record(tmp_path, MINI[0], "timm:made_0", seed=3, accuracy=0.4, finished="2026-01-05T00:00:00+00:00")
    board = read(tmp_path)
    assert np.nansum(board.seconds) == pytest.approx(7.5)
    assert board.date == "2026-01-05"


def test_speed_is_known_where_the_network_itself_ran(tmp_path: Path) -> None:
    write_records(tmp_path, 1, MINI[:1], 3, protocol="finetune-v1")
    # Three networks saw 50 images each, in one pass of a quarter of a second.
    assert read(tmp_path).images_per_second == pytest.approx([600.0])
    write_records(tmp_path / "linear", 1, MINI, 1)
    assert np.isnan(read(tmp_path / "linear").images_per_second).all()


def test_names_tell_rows_apart_however_odd(tmp_path: Path) -> None:
    specs = [
        *HARMFUL,
        "local-dir:a/step-00000010",
        "local-dir:b/step-00000010",
        "timm:x?seed=1",
        "timm:x?seed=2",
        ":",
        "",
    ]
    names = row_names([(f"key{i}", spec, f"{i:064d}") for i, spec in enumerate(specs)])
    assert len(set(names)) == len(specs)
    assert all(name.strip() for name in names)
    assert names[len(HARMFUL)] == "a/step-00000010"
    assert row_names([("k1", "timm:x", "a" * 64), ("k2", "timm:x", "b" * 64)]) == [
        "timm:x (aaaaaaaa)",
        "timm:x (bbbbbbbb)",
    ]
    assert row_names([("k1", "timm:x", "a" * 64), ("k2", "timm:x", "a" * 64)]) == ["timm:x (k1)", "timm:x (k2)"]


@pytest.mark.parametrize(
    ("spec", "step"),
    [
        ("local-dir:runs/vivi/step-00005000", 5000),
        ("vivi:runs/a/step_20", 20),
        ("timm:resnet18?checkpoint=runs/step-7/model.safetensors", 7),
        ("vivi:runs/a/checkpoints/step-00005000?input_size=64", 5000),
        ("vivi:step-00005000", 5000),
        ("timm:resnet18.stepwise", None),
        ("local-dir:runs/footstep-12", None),
    ],
)
def test_a_pretraining_step_is_read_from_the_spec(spec: str, step: int | None) -> None:
    assert pretraining_step(spec) == step


def test_changed_settings_of_the_protocol_are_kept(tmp_path: Path) -> None:
    write_records(tmp_path, 1, MINI[:1], 1, changed={"l2_count": 5, "rates": [0.1, 0.01]})
    assert read(tmp_path).overridden == {"l2_count": 5, "rates": [0.1, 0.01]}
    assert read(tmp_path).protocol.startswith("linear-v1-modified-")
    write_records(tmp_path / "plain", 1, MINI[:1], 1)
    assert read(tmp_path / "plain").overridden == {}


def names_of(*specs: str) -> list[str]:
    return row_names([(f"key{i}", spec, f"{i:064d}") for i, spec in enumerate(specs)])


def test_checkpoints_are_named_with_their_run() -> None:
    runs = [f"vivi:runs/{run}/checkpoints/step-{step:08d}" for run in "ab" for step in (5000, 10000)]
    expected = ["a/step-00005000", "a/step-00010000", "b/step-00005000", "b/step-00010000"]
    assert names_of(*runs) == expected
    assert names_of(runs[0], runs[3]) == [expected[0], expected[3]]
    assert names_of("vivi:x/a/checkpoints/step-1", "vivi:y/a/checkpoints/step-1") == ["x/a/step-1", "y/a/step-1"]
    assert names_of("vivi:step-00005000") == ["step-00005000"]


@pytest.mark.parametrize(
    ("spec", "run"),
    [
        ("vivi:runs/a/checkpoints/step-00005000", "vivi:runs/a"),
        ("vivi:runs/a/checkpoints/step-00010000?input_size=64", "vivi:runs/a?input_size=64"),
        ("local-dir:runs/a/step_20", "local-dir:runs/a"),
        ("timm:resnet18?checkpoint=runs/step-7/model.safetensors", "timm:resnet18?checkpoint=runs/model.safetensors"),
        ("timm:resnet18", "timm:resnet18"),
    ],
)
def test_the_run_of_a_checkpoint(spec: str, run: str) -> None:
    assert pretraining_run(spec) == run


def test_of_options_only_those_that_differ_are_named() -> None:
    specs = [f"timm:resnetv2_18?width_factor=0.25&seed={seed}&input_size=32" for seed in range(3)]
    assert names_of(*specs, "timm:vit?x=1") == [
        *("resnetv2_18?seed=0", "resnetv2_18?seed=1", "resnetv2_18?seed=2"),
        "vit",
    ]
    # One of them has no options at all.
    assert names_of("timm:x", "timm:x?seed=1") == ["x", "x?seed=1"]


def test_which_examples_are_right_is_what_the_predictions_say(
    tmp_path: Path,
) -> None:
    write_records(tmp_path, 2, MINI[:2], 2, examples=77)
    board = read(tmp_path)
    assert board.right is not None
    rows = np.arange(2)
    for t, task in enumerate(task_examples(board, rows)):
        if t < 2:
            assert (task.examples, task.seeds.tolist()) == (77, [2, 2])
            assert task.images == board.test_images[MINI[t]]
        else:
            assert not task.seeds.any()
    first = task_examples(board, rows)[0]
    bits = np.unpackbits(first.right, axis=2, count=77)
    for b in rows:
        for s in range(2):
            found = load_file(next(Path(board.paths[b, 0, s]).parent.glob(f"seed{s}-*.predictions")))
            np.testing.assert_array_equal(bits[b, s], found["predicted"] == found["label"])
    # Unread predictions are no wrong ones.
    unread = fill_board(*chosen(read_results(find_records([tmp_path]), verify=False)))
    assert unread.right is None
    assert not any(task.seeds.any() for task in task_examples(unread, rows))


def chosen(results: Results) -> tuple[Results, Choice]:
    return results, choose(results.readable, None, None, ())


def board_of(folder: Path, *tasks: str, suite: str | None = None) -> Board:
    results = read_results(find_records([folder]))
    return fill_board(results, choose(results.readable, suite, None, (), tasks))


def test_a_table_of_the_tasks_one_has(tmp_path: Path) -> None:
    write_records(tmp_path, 2, MINI)
    board = board_of(tmp_path, MINI[5], MINI[0])
    assert {task.name for task in board.tasks} == {MINI[5], MINI[0]}
    assert board.complete().all()
    assert {item.reason for item in board.left_out} == {"its task is not one chosen"}
    with pytest.raises(UnknownNameError, match="mini_digit'"):
        board_of(tmp_path, "mini_digit")
    with pytest.raises(OptionError, match="give one of them"):
        board_of(tmp_path, MINI[0], suite="mini")
    # One that lacks all of them says how to finish it, though no suite is called so.
    for task in (MINI[0], MINI[5]):
        shutil.rmtree(next(tmp_path.glob("made_0-*")) / task)
    write_records(tmp_path, ["timm:made_0"], [MINI[0], MINI[5]], status="diverged")
    commands = summarise(board_of(tmp_path, MINI[5], MINI[0]), draws=10).commands
    assert sum(f"--task {MINI[0]} --task {MINI[5]}" in command for command in commands) == 1
    assert not any("--suite" in command for command in commands)


def test_tasks_of_no_suite_are_a_table_as_well(tmp_path: Path) -> None:
    own = replace(registry.tasks.get(MINI[0]), name="mine", title="Mine", version="7")
    with registry.tasks.registered("mine", own):
        write_records(tmp_path, 2, ["mine"])
        board = board_of(tmp_path)
    assert [(task.name, task.title, task.chance) for task in board.tasks] == [("mine", "Mine", own.chance)]
    # Where the plugin is not there, the records say what the task is.
    board = board_of(tmp_path)
    assert [(task.title, task.group, task.chance) for task in board.tasks] == [("Mine", own.group, None)]
    assert board.complete().all()
    assert board.suite == "own-tasks"
