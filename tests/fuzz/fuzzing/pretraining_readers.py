"""Pretraining: videos, lists of them, indexes, shards, labelled images, and what a run leaves to go on from."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import av
import numpy as np
import torch

from fuzzing.containers import parquet_damaged, tar_mutator, zip_mutator
from fuzzing.damage import Mutator, damaged
from fuzzing.reader import Reader, in_file
from fuzzing.small_sets import jpeg, write
from fuzzing.structures import json_damaged, json_lines_damaged, value_damaged
from fuzzing.texts import text_mutator
from vivi_pretrain.data.labelled_images import find_labelled_images
from vivi_pretrain.data.loading.labelled_loader import LabelledLoader, LabelledLoaderSettings
from vivi_pretrain.data.loading.settings import ShotLoaderSettings
from vivi_pretrain.data.loading.shot_loader import ShotLoader
from vivi_pretrain.shards.jobs import video_jobs
from vivi_pretrain.shards.manifest import FRAMES, MANIFEST, shard_name
from vivi_pretrain.shards.reader import ShardSet
from vivi_pretrain.shards.settings import ShardSettings
from vivi_pretrain.shards.writer import UNFINISHED, write_shards
from vivi_pretrain.training.run_folder import RUN, STATE, RunFolder
from vivi_pretrain.video.decode import describe, frames
from vivi_pretrain.video.index import make_index
from vivi_pretrain.video.index_file import SHOTS, read_index
from vivi_pretrain.video.journal import JOURNAL
from vivi_pretrain.video.listing import list_videos
from vivi_pretrain.video.settings import IndexSettings
from vivi_pretrain.watching.curves import plot_run
from vivi_pretrain.watching.metrics import METRICS

_SHARDS = ShardSettings(rate=10, short_side=16, frames_per_shot=2, shots_per_video=2)


def _video(kind: str, codec: str, count: int = 20) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(count):
            # Two shots.
            image = np.full((32, 48, 3), 30 + number, np.uint8)
            image[8:24, number : number + 12, number // 10] = 250 - 120 * (number // 10)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


_VIDEOS = {
    "mp4": ("mp4", "libx264"),
    "webm": ("webm", "libvpx"),
    "avi": ("avi", "mpeg4"),
    "mpegts": ("mpegts", "mpeg2video"),
}


def _decode(path: Path) -> None:
    describe(path)
    for number, _ in enumerate(frames(path, short_side=16)):
        if number == 200:
            break


@cache
def _pipeline() -> dict[str, bytes]:
    """Returns the files of an index and of its shards, made by the commands themselves."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "videos").mkdir()
        for number in range(3):
            (root / "videos" / f"v{number}.mp4").write_bytes(_video("mp4", "libx264"))
        make_index(list_videos([root / "videos"]), root / "index", IndexSettings())
        index = read_index(root / "index")
        write_shards(video_jobs(index.shots, index.root), root / "shards", _SHARDS, index.settings_hash)
        found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    # What a kill before the end leaves.
    found["begun/.unfinished/settings.json"] = json.dumps(json.loads(found[f"shards/{MANIFEST}"])["settings"]).encode()
    return found


def _piece(name: str) -> Callable[[Path], bytes]:
    return lambda folder: write(folder, _pipeline())[name]


def _read_index(folder: Path) -> None:
    index = read_index(folder / "index")
    video_jobs(index.shots, folder / "videos")


def _go_on_indexing(folder: Path) -> None:
    make_index(list_videos([folder / "videos"]), folder / "index", IndexSettings())


def _journal(folder: Path) -> bytes:
    """A journal names the folder of its videos, and tells videos by the time of their last change."""
    write(folder, {name: data for name, data in _pipeline().items() if name.startswith("videos/")})
    _go_on_indexing(folder)
    return (folder / "index" / JOURNAL).read_bytes()


def _read_shards(folder: Path) -> None:
    shards = ShardSet(folder / "shards")
    try:
        shards.read(np.arange(shards.num_frames))
        settings = ShotLoaderSettings(videos=2, shots=2, frames=2, workers=1)
        with ShotLoader(shards, settings, seed=0) as loader:
            next(loader)
    finally:
        shards.close()


def _read_frames(folder: Path) -> None:
    """Has the manifest agree with the table's size, which is compared first."""
    said = json.loads(_pipeline()[f"shards/{MANIFEST}"])
    said["frames"]["bytes"] = (folder / "shards" / FRAMES).stat().st_size
    (folder / "shards" / MANIFEST).write_text(json.dumps(said))
    _read_shards(folder)


def _go_on_sharding(folder: Path) -> None:
    index = read_index(folder / "index")
    write_shards(video_jobs(index.shots, folder / "videos"), folder / "begun", _SHARDS, index.settings_hash)
    shutil.rmtree(folder / "begun")
    (folder / "begun" / UNFINISHED).mkdir(parents=True)


def _labelled_tar(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(4):
            for ending, data in (("jpg", jpeg(40 * number)), ("cls", str(number % 2).encode())):
                info = tarfile.TarInfo(f"{number:06d}.{ending}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _read_labelled(folder: Path) -> None:
    images = find_labelled_images(folder)
    with LabelledLoader(images, LabelledLoaderSettings(batch=2, short_side=16, workers=1), seed=0) as loader:
        next(loader)


_RUN = {
    "preset": "vivi-ex4",
    "settings": {"steps": 30, "lr": 0.1, "decay_at": [10, 20], "shot_loss": "exemplar"},
    "data": {"shards_sha256": "ab" * 32, "videos": 3},
}


def _run_input(folder: Path) -> bytes:
    return json.dumps(_RUN, indent=1).encode()


def _open_run(folder: Path) -> None:
    (folder / "checkpoints" / "step-00000005").mkdir(parents=True, exist_ok=True)
    RunFolder(folder).open(_RUN, frozenset({"steps"}))


def _network() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(2, 3)).sum().backward()
    optimiser.step()
    return model, optimiser


def _state(**change: object) -> bytes:
    model, optimiser = _network()
    buffer = io.BytesIO()
    torch.save({"step": 5, "model": model.state_dict(), "optimiser": optimiser.state_dict()} | change, buffer)
    return buffer.getvalue()


def _state_damaged(rng: Random, data: bytes) -> bytes:
    """Damages the file, or saves another state in its place."""
    if rng.random() < 0.6:
        return zip_mutator()(rng, data)
    plain = {"step": 5, "model": {"0.weight": [0.5], "0.bias": None}, "optimiser": {"state": {}, "param_groups": [{}]}}
    buffer = io.BytesIO()
    torch.save(value_damaged(rng, plain), buffer)
    odd = [torch.zeros(2, 2), torch.zeros(0), torch.full((4,), float("nan")), torch.zeros(2).to_sparse(), {}]
    if rng.random() < 0.5:
        return buffer.getvalue()
    return _state(**{rng.choice(("step", "model", "optimiser")): rng.choice([*odd, None, "x", 2**70])})


def _resume(folder: Path) -> None:
    model, optimiser = _network()
    RunFolder(folder).resume(model, optimiser)


def _metrics(folder: Path) -> bytes:
    lines = [{"step": step, "loss": 1.0 / step, "lr": 0.1, "feature_std": 0.5, "accuracy": None} for step in (1, 2, 3)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _read_metrics(folder: Path) -> None:
    plot_run(folder, folder / "curves.svg")
    RunFolder(folder).cut_metrics(2)


def _in(name: str, mutate: Mutator, read: Callable[[Path], object], share: float) -> Reader:
    return Reader(f"vivi {name}", _piece(name), mutate, in_file(name, read), share)


def _checkpoint(read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    def place_and_read(folder: Path, data: bytes) -> None:
        write(folder, {f"checkpoints/step-00000005/{STATE}": data})
        read(folder)

    return place_and_read


_csv = text_mutator("\n,/.", ("../v0.mp4", "/v0.mp4", '"', "path", "id", "x" * 140_000))

READERS = (
    *(
        Reader(
            f"video {name}",
            lambda folder, how=how: _video(*how),
            damaged,
            in_file("video.mp4", lambda folder: _decode(folder / "video.mp4")),
        )
        for name, how in _VIDEOS.items()
    ),
    Reader(
        "list of videos",
        lambda folder: b"path,id,more\nv0.mp4,one,1\nv1.mp4,two,2\n",
        _csv,
        in_file("videos.csv", lambda folder: list_videos([folder / "videos.csv"])),
    ),
    _in(f"index/{SHOTS}", parquet_damaged, _read_index, 1.0),
    Reader(
        f"vivi index/{JOURNAL}", _journal, json_lines_damaged, in_file(f"index/{JOURNAL}", _go_on_indexing), share=0.3
    ),
    _in(f"shards/{MANIFEST}", json_damaged, _read_shards, 1.0),
    _in(f"shards/{FRAMES}", parquet_damaged, _read_frames, 1.0),
    _in(f"shards/{shard_name(0)}", damaged, _read_shards, 0.5),
    _in("begun/.unfinished/settings.json", json_damaged, _go_on_sharding, 0.1),
    Reader("labelled tar", _labelled_tar, tar_mutator(), in_file("shard.tar", _read_labelled)),
    Reader(f"run {RUN}", _run_input, json_damaged, in_file(RUN, _open_run)),
    Reader(f"run {STATE}", lambda folder: _state(), _state_damaged, _checkpoint(_resume), share=0.5),
    Reader(f"run {METRICS}", _metrics, json_lines_damaged, in_file(METRICS, _read_metrics), share=0.1),
)
