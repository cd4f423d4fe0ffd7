"""Which number is served: the one of the data, weights and settings that are given now, and no other."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_source import TASK, write

import vtab_harness
from vtab_harness import registry
from vtab_harness.api.errors import DataError, OptionError, StorageError
from vtab_harness.sweep.rerun import rerun
from vtab_harness.sweep.settings import RunSettings
from vtab_harness.sweep.store import Store, read_predictions

PIXELS = "python:docs.examples.pixels:Pixels?side=8"


@pytest.fixture
def toy() -> Iterator[None]:
    with registry.tasks.registered(TASK.name, TASK):
        yield


@pytest.fixture
def run(toy: None, tmp_path: Path) -> Callable[..., vtab_harness.Results]:
    """Evaluates pixels on the toy task."""

    def evaluate(**more: Any) -> vtab_harness.Results:
        options: dict[str, Any] = {
            "backbones": PIXELS,
            "tasks": "toy",
            "protocol": "knn",
            "device": "cpu",
            "raise_error": False,
        }
        places = {"results": tmp_path / "results", "cache": tmp_path / "cache"}
        done = vtab_harness.evaluate(**options | places | more)
        return done

    return evaluate


def pixels_of(done: vtab_harness.Results) -> str:
    assert done.failures == ()
    (record,) = done.records
    return record.identity.data.splits["test"].pixels


def test_what_the_data_folder_gives_is_not_passed_over_for_what_is_prepared(
    run: Callable[..., vtab_harness.Results], tmp_path: Path
) -> None:
    encoded, raw = tmp_path / "encoded", tmp_path / "raw"
    for folder, name, seed in ((encoded, "toy75.npz", 75), (raw, "toy.npz", 100)):
        folder.mkdir()
        write(folder / name, seed)
    first = run(data=encoded)
    second = run(data=raw)
    assert [done.records[0].identity.data.variant for done in (first, second)] == ["toy75", "toy"]
    assert pixels_of(first) != pixels_of(second)
    (passed,) = second.passed_over
    assert passed.why == ("on toy75, not toy",)
    assert len(list(Store(tmp_path / "results"))) == 2, "the first is kept"
    # Both again: each is found, none is computed.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*.json")}
    assert pixels_of(run(data=encoded)) == pixels_of(first)
    assert pixels_of(run(data=raw)) == pixels_of(second)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*.json")} == before
    # Without a folder somebody has to choose.
    (failure,) = run().failures
    assert "Choose one with variant" in str(failure.error)
    assert pixels_of(run(variant="toy75")) == pixels_of(first)
    assert "'other' is wanted" in str(run(variant="other", data=raw).failures[0].error)


def test_another_file_under_the_same_name_is_refused_and_after_the_remedy_the_old_score_does_not_answer(
    run: Callable[..., vtab_harness.Results], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write(data / "toy.npz", 1)
    wrong = run(data=data)
    write(data / "toy.npz", 2)
    (failure,) = run(data=data).failures
    assert "other data of the variant toy than what is prepared" in str(failure.error)
    assert "delete that folder" in str(failure.error)
    # The remedy as printed.
    shutil.rmtree(tmp_path / "cache" / "prepared" / "toy-1" / "toy")
    right = run(data=data)
    assert pixels_of(right) != pixels_of(wrong)
    (passed,) = right.passed_over
    assert passed.why == ("other pixels in test", "other pixels in train800", "other pixels in val200")


def test_a_copy_of_the_same_file_is_the_same_data(run: Callable[..., vtab_harness.Results], tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "one" / "toy.npz", 1)
    first = run(data=tmp_path / "one")
    # Without its time of change.
    shutil.copyfile(tmp_path / "one" / "toy.npz", tmp_path / "two" / "toy.npz")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*.json")}
    assert pixels_of(run(data=tmp_path / "two")) == pixels_of(first)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*.json")} == before


def test_prepared_data_of_another_decoder_are_not_used(
    run: Callable[..., vtab_harness.Results], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "toy.npz", 1)
    run(data=tmp_path)
    manifest = tmp_path / "cache" / "prepared" / "toy-1" / "toy" / "test" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"decoding": 1', '"decoding": 0'))
    (failure,) = run(data=tmp_path).failures
    assert "decoded by an earlier version" in str(failure.error)


def test_every_record_is_remade_from_itself_with_equal_predictions(
    run: Callable[..., vtab_harness.Results], tmp_path: Path, small_backbone: str
) -> None:
    write(tmp_path / "toy.npz", 1)
    tuned = {"steps": "3", "lr": "0.01", "batch_size": 8}
    run(data=tmp_path)
    run(data=tmp_path, protocol="linear", set={"l2_count": 3})
    run(data=tmp_path, backbones=small_backbone, protocol="finetune", set=tuned, seeds=(1,), micro_batch=4)
    for path, record in Store(tmp_path / "results"):
        found = rerun(path, tmp_path / "cache")
        assert (found.equal, found.changed, found.examples) == (True, 0, 12)
        assert found.again.identity == record.identity
        assert found.again.search == record.search
        assert found.environment_differences() == []
    assert len(list(Store(tmp_path / "results"))) == 3


def test_a_record_is_remade_with_as_many_threads_as_it_states(
    run: Callable[..., vtab_harness.Results], tmp_path: Path
) -> None:
    write(tmp_path / "toy.npz", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        run(data=tmp_path)
        torch.set_num_threads(1)
        ((path, record),) = Store(tmp_path / "results")
        found = rerun(path, tmp_path / "cache")
        assert (record.environment.threads, found.again.environment.threads) == (3, 3)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_record_that_would_be_another_result_now_is_not_remade(
    run: Callable[..., vtab_harness.Results], tmp_path: Path
) -> None:
    write(tmp_path / "toy.npz", 1)
    run(data=tmp_path)
    ((path, record),) = Store(tmp_path / "results")
    shutil.rmtree(tmp_path / "cache" / "prepared")
    write(tmp_path / "toy.npz", 2)
    with pytest.raises(StorageError, match="would be another result now: other pixels in test"):
        rerun(path, tmp_path / "cache", (tmp_path,))
    # Changed predictions are found.
    shutil.rmtree(tmp_path / "cache" / "prepared")
    write(tmp_path / "toy.npz", 1)
    found = read_predictions(path, record)
    wrong = found["predicted"].copy()
    hit = (found["predicted"] == found["label"]).nonzero()[0]
    missed = (found["predicted"] != found["label"]).nonzero()[0]
    wrong[hit[0]], wrong[missed[0]] = (wrong[hit[0]] + 1) % 3, found["label"][missed[0]]
    from vtab_harness.api.records import Scored

    Store(tmp_path / "results").write(record, Scored(wrong, found["label"]))
    again = rerun(path, tmp_path / "cache", (tmp_path,))
    assert (again.equal, again.changed) == (False, 2)


def folder_of_weights(folder: Path, seed: int) -> Path:
    import timm

    torch.manual_seed(seed)
    model = timm.create_model("test_resnet", num_classes=0)
    timm.models.save_for_hf(model, folder, safe_serialization=True)
    return folder


def test_a_replaced_checkpoint_is_loaded_anew_in_the_same_process(
    run: Callable[..., vtab_harness.Results], tmp_path: Path
) -> None:
    write(tmp_path / "toy.npz", 1)
    folder = folder_of_weights(tmp_path / "net", 0)
    options = {"backbones": f"local-dir:{folder}?input_size=32", "data": tmp_path}
    (first,) = run(**options).records
    weights = load_file(folder / "model.safetensors")
    scaled = {name: value * 1.5 if value.is_floating_point() else value for name, value in weights.items()}
    save_file(scaled, folder / "model.safetensors")
    for overwrite in (False, True):
        done = run(**options, overwrite=overwrite)
        (second,) = done.records
        assert second.identity.backbone.weights != first.identity.backbone.weights
    assert [passed.why for passed in done.passed_over] == [("other weights",)]


def test_one_checkpoint_under_two_families_is_evaluated_once(
    run: Callable[..., vtab_harness.Results], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "toy.npz", 1)
    folder = folder_of_weights(tmp_path / "net", 0)
    run(backbones=f"vivi:{folder}?input_size=32", data=tmp_path)
    done = run(backbones=[f"local-dir:{folder}?input_size=32", f"vivi:{folder}?input_size=32"], data=tmp_path)
    assert len({record.identity.digest for record in done.records}) == 1
    assert done.specs == (f"local-dir:{folder}?input_size=32", f"vivi:{folder}?input_size=32")
    assert len(list(Store(tmp_path / "results"))) == 1


def test_settings_asked_and_used_stand_in_the_record(run: Callable[..., vtab_harness.Results], tmp_path: Path) -> None:
    write(tmp_path / "toy.npz", 1)
    (record,) = run(data=tmp_path, batch_size=7, tf32=True, device="auto", set={"k": 1}).records
    assert (record.asked.device, record.asked.precision, record.asked.tf32) == ("auto", "auto", True)
    # TF32 is no part of arithmetic on the CPU, so that asking for it makes no other result there.
    assert (record.used.device, record.used.precision, record.used.tf32) == ("cpu", "fp32", False)
    assert (record.used.batch_size, record.used.compile, record.used.variant) == (7, False, "toy")
    assert record.asked.set == {"k": 1}
    assert record.identity.protocol.settings["k"] == [1]


@pytest.mark.parametrize("seeds", ["1000000", "100000000"])
def test_no_memory_is_taken_for_absurd_numbers_of_seeds(seeds: str) -> None:
    with pytest.raises(OptionError, match="at most 1,000 seeds"):
        RunSettings(seeds=seeds)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="at most 1,000 seeds"):
        RunSettings(seeds=tuple(range(2000)))


def test_a_module_that_leaves_the_program_ends_its_own_job_only(
    run: Callable[..., vtab_harness.Results], tmp_path: Path
) -> None:
    write(tmp_path / "toy.npz", 1)
    module = tmp_path / "leaver.py"
    module.write_text(
        "import sys\nimport torch\n"
        "class Leaver(torch.nn.Module):\n"
        "    calls = 0\n"
        "    def forward(self, images):\n"
        "        Leaver.calls += 1\n"
        "        if Leaver.calls > 8: sys.exit(0)\n"
        "        return images.mean((2, 3))\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        done = run(backbones=["python:leaver:Leaver?input_size=8", PIXELS], data=tmp_path, batch_size=2)
    assert [failure.spec for failure in done.failures] == ["python:leaver:Leaver?input_size=8"]
    assert "SystemExit" in str(done.failures[0].error)
    assert [record.backbone.spec for record in done.records] == [PIXELS]


def test_two_prepared_variants_and_no_choice(toy: None, tmp_path: Path) -> None:
    from vtab_harness.prepared.prepared_set import prepare

    for name in ("toy.npz", "toy75.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        folder = tmp_path / name.removesuffix(".npz")
        folder.mkdir()
        write(folder / name, 1)
        prepare(TASK.image_set, [folder], tmp_path / "cache")
    with pytest.raises(DataError, match="prepared in 2 variants: toy, toy75"):
        prepare(TASK.image_set, [], tmp_path / "cache")
