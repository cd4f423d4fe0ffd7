"""Several processes of one run: parts of a step that add up, a rank that dies, checkpoints that differ."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.training.build_model import build_model
from vivi_pretrain.training.network import network_to_train
from vivi_pretrain.training.ranks import Ranks
from vivi_pretrain.training.trainer import pretrain
from vtab_harness.api.errors import OptionError

# Layer norm: batch norm would see parts of a batch.
TINY = PretrainSettings(
    encoder="test_vit?img_size=32",
    size=32,
    videos=4,
    shots=2,
    frames=2,
    predictor="mlp",
    predictor_hidden=16,
    identity_size=16,
    shot_size=16,
    steps=2,
    lr=0.05,
    warmup=1,
    decay_at=(),
    checkpoint_every=1000,
    log_every=1,
    workers=1,
    device="cpu",
)
PROGRAM = """
import json, sys
from pathlib import Path
from vivi_pretrain.training.errors import RankFailedError
from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.training.trainer import pretrain
try:
    pretrain(PretrainSettings(**json.loads(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]))
except RankFailedError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""


@pytest.fixture
def shards(make_shards: Any) -> Path:
    folder: Path = make_shards([[3, 4], [2, 3], [4, 2], [3, 3], [2, 2], [3, 2]], sides=(36, 44)).folder
    return folder


def start(settings: dict[str, Any], shards: Path, out: Path) -> list[subprocess.Popen[str]]:
    """Starts two ranks as torchrun does, without torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    given = {name: getattr(TINY, name) for name in TINY.__dataclass_fields__} | settings
    command = [sys.executable, "-c", PROGRAM, json.dumps(given), str(shards), str(out)]
    return [
        subprocess.Popen(
            command,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for rank in range(2)
    ]


def labelled(tmp_path: Path) -> str:
    for name in range(2):
        folder = tmp_path / "labelled" / f"class{name}"
        folder.mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (40, 36), (200 * name, 50 * number, 99)).save(folder / f"{number}.png")
    return str(tmp_path / "labelled")


def test_accumulated_parts_and_ranks_add_up_to_the_whole_step(tmp_path: Path, shards: Path) -> None:
    # Losses that are means over videos, coins and images: the parts' mean is that of the whole.
    changes = {
        "shot_loss": "rotation",
        "video_loss": "order",
        "video_weight": 1.0,
        "labelled": labelled(tmp_path),
        "labelled_weight": 1.0,
        "labelled_batch": 4,
    }
    whole = load_file(pretrain(replace(TINY, **changes), shards, tmp_path / "whole") / "model.safetensors")
    pretrain(replace(TINY, **changes, accumulate=2), shards, tmp_path / "parts")
    ranks = start({**changes, "accumulate": 2}, shards, tmp_path / "ranks")
    assert [rank.wait(120) for rank in ranks] == [0, 0]
    for run in ("parts", "ranks"):
        found = load_file(tmp_path / run / "model.safetensors")
        for name, value in whole.items():
            assert torch.allclose(found[name], value, rtol=1e-4, atol=1e-6), (run, name)


def test_when_a_rank_is_killed_the_other_stops_and_says_so(tmp_path: Path, shards: Path) -> None:
    # A video each rank and part, so that a loss without its gathering would have no negatives.
    first, second = start({"steps": 100_000, "accumulate": 2}, shards, tmp_path / "run")
    for _ in range(600):
        time.sleep(0.1)
        if (tmp_path / "run" / "metrics.jsonl").exists() or first.poll() is not None:
            break
    second.kill()
    # Sent at the same moment by torchrun; the message has to come out all the same.
    first.send_signal(signal.SIGTERM)
    second.wait()
    said, _ = first.communicate(timeout=60)
    assert "stopped because another rank did" in said
    assert first.returncode == 4


def test_ranks_agree_only_on_the_same_number(monkeypatch: pytest.MonkeyPatch) -> None:
    both, barrier = torch.zeros(2, 2, dtype=torch.int64), threading.Barrier(2)
    local = threading.local()

    def reduce(value: torch.Tensor, op: Any) -> None:
        both[local.rank] = value
        barrier.wait()
        value.copy_(both.max(dim=0).values)
        barrier.wait()

    monkeypatch.setattr("vivi_pretrain.training.ranks.dist.all_reduce", reduce)
    found: dict[tuple[int, int], bool] = {}

    def ask(rank: int, number: int, case: int) -> None:
        local.rank = rank
        found[case, rank] = Ranks(rank, 2, torch.device("cpu")).agree(number)

    for case, numbers in enumerate([(5, 5), (5, 4), (0, 7), (0, 0)]):
        threads = [threading.Thread(target=ask, args=(rank, number, case)) for rank, number in enumerate(numbers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert found[case, 0] == found[case, 1] == (numbers[0] == numbers[1])


def test_sync_batch_norm_is_the_same_network_with_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(
        TINY, encoder="resnetv2_50?layers=(1,1,1,1)&channels=(8,8,8,8)", sync_batch_norm=True, compile=False
    )
    monkeypatch.setattr("vivi_pretrain.training.network.DistributedDataParallel", lambda network, **options: network)
    built = build_model(settings, None)
    images = torch.randn(2, 3, 32, 32)
    expected = built.encoder.eval()(images)
    weights, names = {id(weight) for weight in built.model.parameters()}, list(built.model.state_dict())
    network = network_to_train(built.model, settings, Ranks(0, 2, torch.device("cuda", 0)))
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in built.encoder.modules())
    assert torch.equal(built.encoder.eval()(images), expected)
    assert {id(weight) for weight in network.parameters()} == weights
    assert list(built.model.state_dict()) == list(network.state_dict()) == names
    with pytest.raises(OptionError, match="sync_batch_norm"):
        network_to_train(built.model, settings, Ranks(0, 2, torch.device("cpu")))
