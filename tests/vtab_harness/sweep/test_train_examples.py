"""`--train-examples`: results on other numbers of labels, from end to end, and that they never meet those on 1000."""

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from small_source import IMAGE_SET, RARE, SHADE

import vtab_harness
from vtab_harness import registry
from vtab_harness.api.errors import OptionError
from vtab_harness.api.records import Record
from vtab_harness.api.train_examples import TrainExamples
from vtab_harness.cli.main import main
from vtab_harness.prepared.prepare_subsets import prepare_learning
from vtab_harness.sweep.plan import make_jobs, plan
from vtab_harness.sweep.settings import RunSettings, SweepSettings
from vtab_harness.sweep.store import Store, read_predictions
from vtab_harness.sweep.study import read_study

NAMES = ("small_shade", "small_rare")
COUNTS = {"1000": (24, 6), "all": (130, 50), "60": (48, 12)}
PIXELS = "python:docs.examples.pixels:Pixels?side=64"
QUICK = {"steps": (5, 10), "batch_size": 16}


@pytest.fixture
def small_tasks() -> Iterator[None]:
    """Registers the two tasks of the small image set for one test."""
    with registry.tasks.registered(SHADE.name, SHADE), registry.tasks.registered(RARE.name, RARE):
        yield


@pytest.fixture(scope="module")
def small_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("small")


def evaluate(tmp_path: Path, cache: Path, examples: int | str, **more: Any) -> tuple[Record, ...]:
    options = {"backbones": PIXELS, "tasks": NAMES, "protocol": "knn", "device": "cpu"} | more
    done = vtab_harness.evaluate(results=tmp_path, cache=cache, train_examples=examples, **options)
    assert done.failures == ()
    return done.records


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize("text", ["1000", "all", "60", "5-shot"])
def test_scores_are_those_of_scikit_learn_on_the_same_examples(text: str, tmp_path: Path, small_cache: Path) -> None:
    records = evaluate(tmp_path, small_cache, text, set={"k": 1, "temperature": 1.0})
    sets = prepare_learning((SHADE, RARE), TrainExamples.parse(text), (), small_cache)
    for task, record, (path, _) in zip((RARE, SHADE), records[::-1], Store(tmp_path), strict=True):
        found = sets[task.name]

        def examples(split: str, found: Any = found, task: Any = task) -> tuple[Any, Any]:
            images = found.prepared.images(split)
            pixels = images.read(0, len(images)).data.reshape(len(images), -1) / 255
            return pixels, found.prepared.labels(split, task.label)

        (train, a), (validation, b), (test, labels) = (examples(split) for split in (*found.splits, "test"))
        reference = KNeighborsClassifier(1, metric="cosine")
        reference.fit(np.concatenate([train, validation]), np.concatenate([a, b]))
        expected = reference.predict(test)
        assert read_predictions(path, record)["predicted"].tolist() == expected.tolist()
        assert record.accuracy == pytest.approx((expected == labels).mean())
        assert set(record.identity.data.splits) == {*found.splits, "test"}
        assert record.identity.labels.examples == text
        assert record.learned_from == found.summary()
        assert record.identity.protocol_name.endswith("" if text == "1000" else f"-{text}")
        assert path.parent.name == record.identity.protocol_name
        assert Record.parse(path.read_bytes()) == record


@pytest.mark.usefixtures("small_tasks")
def test_results_lie_apart_and_none_is_taken_for_another(tmp_path: Path, small_cache: Path) -> None:
    texts = ("1000", "all", "60", "5-shot", "2-shot")
    first = {text: evaluate(tmp_path, small_cache, text) for text in texts}
    assert len(list(Store(tmp_path))) == 2 * len(texts)
    assert len({record.identity.protocol_name for records in first.values() for record in records}) == len(texts)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    for text in texts:
        assert [r.as_json() for r in evaluate(tmp_path, small_cache, text)] == [r.as_json() for r in first[text]]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == before
    modified = evaluate(tmp_path, small_cache, "5-shot", set={"k": 1})
    assert modified[0].identity.protocol_name not in {records[0].identity.protocol_name for records in first.values()}


@pytest.mark.usefixtures("small_tasks")
def test_features_are_computed_of_the_chosen_images_only(tmp_path: Path) -> None:
    records = evaluate(tmp_path / "results", tmp_path / "cache", "5-shot")
    rows = [path.stat().st_size // (4 * 64 * 64 * 3) for path in (tmp_path / "cache" / "features").glob("*.f32")]
    learned = [n for record in records for n in (record.learned_from.train, record.learned_from.validation)]
    assert sorted(rows) == sorted([*learned, 30])


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize("protocol", ["linear", "knn", "finetune"])
@pytest.mark.parametrize("text", ["all", "5-shot"])
def test_record_does_not_depend_on_what_else_runs(
    protocol: str, text: str, tmp_path: Path, small_cache: Path, small_backbone: str
) -> None:
    """Both tasks at once, one after the other, and one in an interrupted run: the same records."""
    more: dict[str, Any] = {"protocol": protocol, "backbones": small_backbone}
    if protocol == "finetune":
        more |= {"set": QUICK, "seeds": (0, 1)}
    together = evaluate(tmp_path / "a", small_cache, text, **more)
    with pytest.MonkeyPatch.context() as patch:
        calls: list[Any] = []
        write = Store.write

        def once(self: Store, *args: Any) -> Path:
            calls.append(args)
            if len(calls) > 1:
                raise KeyboardInterrupt
            return write(self, *args)

        patch.setattr(Store, "write", once)
        with pytest.raises(KeyboardInterrupt):
            evaluate(tmp_path / "b", small_cache, text, **more)
    evaluate(tmp_path / "b", small_cache, text, **more | {"tasks": NAMES[1:]})
    again = evaluate(tmp_path / "b", small_cache, text, **more)
    assert [record.result() for record in again] == [record.result() for record in together]
    assert len(together) == (4 if protocol == "finetune" else 2)
    assert not list((tmp_path / "b").rglob(".unfinished/**/*.*"))


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize("text", [*COUNTS, "2-shot"])
def test_plan_counts(text: str, tmp_path: Path, small_cache: Path, small_backbone: str) -> None:
    def planned(protocol: str) -> Any:
        settings = SweepSettings(
            protocol=protocol,
            train_examples=text,
            results=tmp_path,
            cache=small_cache,
            device="cpu",
        )
        (job,) = plan(make_jobs([small_backbone], [SHADE, RARE], settings))
        return job

    # Two labels of each of five and four classes; the two tasks share no split then.
    of_tasks = [COUNTS[text]] if text in COUNTS else [(5, 5), (4, 4)]
    validations = 2 * COUNTS[text][1] if text in COUNTS else 5 + 4
    found = planned("linear")
    assert (found.finished, found.missing) == (0, 2)
    assert found.forward_images == sum(map(sum, of_tasks)) + 30
    finetuned = planned("finetune")
    assert finetuned.forward_images == 30 * 6 + 4 * validations
    evaluate(tmp_path, small_cache, text, backbones=small_backbone, protocol="linear")
    assert (planned("linear").finished, planned("linear").forward_images) == (2, 0)


@pytest.mark.usefixtures("small_tasks")
def test_what_is_not_there_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    def refused(examples: int | str, task: Any = NAMES) -> str:
        with pytest.raises(OptionError) as error:
            vtab_harness.evaluate("timm:no_such_network", tasks=task, train_examples=examples, results=tmp_path)
        return str(error.value)

    assert "130 training and 50 validation" in refused(200)
    assert "163 at most" in refused(200)
    assert "mini_digits declares no whole train and val split" in refused("all", ("small_shade", "mini_digits"))
    assert not list(tmp_path.rglob("*.json"))


@pytest.fixture
def vtab(
    small_tasks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process, where the small tasks are known, and returns its status and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    # The command replaces it.
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vtab", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        status = ended.value.code
        assert status is None or isinstance(status, int)
        return status or 0, *capsys.readouterr()

    return run


def test_command_line_from_plan_to_show(
    vtab: Callable[..., tuple[int, str, str]], tmp_path: Path, small_backbone: str
) -> None:
    (tmp_path / "study.toml").write_text(
        f'backbones = "{small_backbone}"\ntasks = ["small_shade", "small_rare"]\n'
        'protocol = "linear"\ntrain_examples = "5-shot"\ncache = "cache"\ndevice = "cpu"\n'
    )
    status, planned, _ = vtab("run", "--study", "study.toml", "--dry-run")
    assert status == 0
    assert "Plan, learning from 5 labels a class" in planned
    status, done, _ = vtab("run", "--study", "study.toml")
    assert status == 0
    assert "linear-v1-5-shot, learned from 5 labels a class" in done
    _, again, errors = vtab("run", "--study", "study.toml")
    assert "0 results to compute, 2 there already" in errors
    assert again == done
    path = next((tmp_path / "results").rglob("small_rare/linear-v1-5-shot/seed0-*.json"))
    assert "5-shot: 16 to train, 4 to choose" in vtab("show", str(path))[1]
    # Options win over the file.
    more = ("run", "--study", "study.toml", "--train-examples", "60", "--task", "small_shade")
    assert "linear-v1-60, learned from 60 labels" in vtab(*more)[1]
    assert len(list(Store(tmp_path / "results"))) == 3


@pytest.mark.parametrize("text", ["0", "-3", "foo", "1-shot", "1e9", "999999999"])
def test_bad_values_on_the_command_line(text: str, vtab: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    # A backbone that does not exist would be an error as well, once it is looked for.
    status, _, errors = vtab("run", "-b", "timm:no_such_network", "-t", "small_shade", f"--train-examples={text}")
    assert status == 2
    assert f"--train-examples {text}" in errors
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(("value", "message"), [("true", "--train-examples True"), (r"[5]", r"--train-examples \[5\]")])
def test_study_with_a_wrong_type(value: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f"train_examples = {value}\n")
    with pytest.raises(OptionError, match=message):
        RunSettings(**read_study(path, RunSettings))
    path.write_text("train_examples = 60\n")
    assert RunSettings(**read_study(path, RunSettings)).learned == TrainExamples(60)


def test_the_small_set_declares_what_the_counts_say() -> None:
    assert (IMAGE_SET.size("train"), IMAGE_SET.size("val")) == COUNTS["all"]
