"""The folder of a run: resumed only as the same run, whole or not at all, and damage is named."""

import errno
import json
from pathlib import Path

import pytest
import torch

from vivi_pretrain.training import run_folder
from vivi_pretrain.training.run_folder import RunFolder
from vtab_harness.api.errors import CheckpointError, OptionError, StorageError

RUN = {"preset": "p", "settings": {"lr": 0.1, "decay_at": (1, 2), "workers": 2}, "data": {"sha256": "aa"}}


def test_the_same_run_opens_again_and_another_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.open(RUN, frozenset({"workers"}))
    folder.open({**RUN, "settings": {**RUN["settings"], "workers": 9}}, frozenset({"workers"}))  # type: ignore[dict-item]
    # Without a checkpoint nothing is lost, such as after a wrong setting that was found late.
    folder.open({**RUN, "preset": "q"}, frozenset())
    folder.open(RUN, frozenset())
    save(folder, 1)
    other = {**RUN, "settings": {"lr": 0.2, "decay_at": [1, 2], "workers": 2}, "data": {"sha256": "bb"}}
    with pytest.raises(OptionError, match=r"data.sha256: 'aa' there, 'bb' now; settings.lr: 0.1 there, 0.2 now"):
        folder.open(other, frozenset({"workers"}))


def test_a_run_begun_under_older_names_of_settings_goes_on(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.open({**RUN, "settings": {"few_shots": "skip", "short_shots": "repeat"}}, frozenset())
    save(folder, 1)
    folder.open({**RUN, "settings": {"repeat_shots": False, "repeat_frames": True}}, frozenset())
    with pytest.raises(OptionError, match="settings.repeat_shots: False there, True now"):
        folder.open({**RUN, "settings": {"repeat_shots": True, "repeat_frames": True}}, frozenset())


def test_damaged_run_json_is_named(tmp_path: Path) -> None:
    for content in ("[1", "[1]", '{"of": "somebody else"}', "[" * 200_000, '{"preset": 1, "settings": {}, "data": {}}'):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"run\.json is damaged"):
            RunFolder(tmp_path).open(RUN, frozenset())
        assert (tmp_path / "run.json").read_text() == content


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.lock(), pytest.raises(StorageError, match="Another process is training"):
        RunFolder(tmp_path).lock()
    # Given back with the context, not with the object.
    with RunFolder(tmp_path).lock():
        pass


def save(folder: RunFolder, step: int) -> Path:
    partial = folder.begin_checkpoint(step)
    folder.save_state(partial, {"step": step, "model": {"w": torch.arange(3.0)}})
    (partial / "config.json").write_text("{}")
    return folder.commit(partial, step)


def test_states_come_and_go_and_encoders_stay(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (5, 10, 15):
        save(folder, step)
    folder.begin_checkpoint(20)  # of a process that was killed
    folder.retain(2)
    assert [path.name for path in folder.states()] == ["step-00000015", "step-00000010"]
    assert (folder.checkpoint(5) / "config.json").exists()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000005",
        "step-00000010",
        "step-00000015",
    ]
    state = folder.load_state(folder.states()[0])
    assert state["step"] == 15
    assert torch.equal(state["model"]["w"], torch.arange(3.0))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 and no more", None])
def test_damaged_state_names_the_file_and_the_remedy(tmp_path: Path, damage: bytes | None) -> None:
    folder = RunFolder(tmp_path)
    file = save(folder, 3) / "state.pt"
    file.write_bytes(file.read_bytes()[:-40] if damage is None else damage)
    with pytest.raises(CheckpointError, match=r"step-00000003/state\.pt is damaged(.|\n)*from its first step"):
        folder.load_state(folder.states()[0])
    save(folder, 4)
    (folder.checkpoint(4) / "state.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"Delete .*step-00000004; (.|\n)*before it, step-00000003"):
        folder.load_state(folder.states()[0])


def test_a_state_that_would_run_code_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    file = save(folder, 3) / "state.pt"
    torch.save({"step": Path("/")}, file)
    with pytest.raises(CheckpointError, match="damaged"):
        folder.load_state(folder.states()[0])
    torch.save({"step": 3}, file)
    with pytest.raises(CheckpointError, match="damaged"):
        folder.load_state(folder.states()[0])


def test_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(state: object, file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = RunFolder(tmp_path)
    partial = folder.begin_checkpoint(1)
    monkeypatch.setattr(run_folder.torch, "save", full)
    with pytest.raises(StorageError, match="disk is full"):
        folder.save_state(partial, {"step": 1})
    folder.abandon(partial)
    assert not partial.exists()


def test_metrics_of_steps_to_be_done_again_are_cut(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    lines = [json.dumps({"step": step, "loss": 1.0}) for step in (2, 4, 6)]
    folder.metrics.write_text("\n".join(lines) + '\n{"step": 8, "lo')
    folder.cut_metrics(4)
    assert [json.loads(line)["step"] for line in folder.metrics.read_text().splitlines()] == [2, 4]
