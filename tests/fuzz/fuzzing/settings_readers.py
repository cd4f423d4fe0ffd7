"""What a person writes: overrides, study files, settings files, numbers of seeds and of training examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fuzzing.reader import Reader, as_text, in_file
from fuzzing.structures import toml_damaged
from fuzzing.texts import text_mutator
from vtab_harness import registry
from vtab_harness.api.train_examples import TrainExamples
from vtab_harness.api.values import apply_overrides, parse_overrides
from vtab_harness.backbones import spec
from vtab_harness.formats.toml_file import read_toml
from vtab_harness.protocols.settings import build_protocol, identity
from vtab_harness.sweep.plan import make_jobs
from vtab_harness.sweep.settings import RunSettings, SweepSettings, merged
from vtab_harness.sweep.study import read_study, read_whole_study
from vtab_harness.sweep.study_run import open_study

_STUDY = b"""
backbones = ["timm:resnet18?pretrained=false&input_size=64", "local-dir:runs/a"]
suite = "mini"
protocol = "finetune"
train_examples = 1000
seeds = [0, 1, 2]
device = "cpu"
precision = "fp32"
compile = false
batch_size = 32
micro_batch = 8
results = "results"
cache = "cache"
data = ["data", "/more/data"]
[executor]
name = "devices"
workers = 2
[set]
steps = 200
lr = [0.1, 0.01]
"""
_WHOLE_STUDY = b"""
out = "out"
tasks = ["mini_digits"]
[[produce]]
name = "videos"
producer = "vivi-synth"
set = { videos = 12, size = 64 }
[[produce]]
name = "index"
producer = "vivi-index"
source = "videos"
[pretrain_common]
data = "index"
seeds = [0, 3]
set = { steps = 30, warmup = 5, decay_at = [10, 20] }
[[pretrain]]
name = "a"
pretrainer = "ex-shot"
checkpoints = [10]
[[pretrain]]
name = "b"
pretrainer = "vivi-ex2"
set = { labelled = { folder = "a" }, labelled_weight = 1.0 }
[[baseline]]
name = "random"
backbone = "timm:test_resnet?pretrained=false&seed={seed}"
seeds = 2
[[evaluate]]
protocol = "knn"
only = ["a"]
set = { k = [5] }
[[leaderboard]]
out = "board"
plots = false
"""
_SETTINGS = b"""
shot_loss = "exemplar"
videos = 8
steps = 30
lr = 0.05
warmup = 5
decay_at = [10, 20]
colour = true
encoder = "resnet18"
seed = 3
device = "cpu"
labelled = ""
"""
_OVERRIDES = {
    "linear": b"l2_max=10 l2_count=5 standardise=true tolerance=1e-5",
    "knn": b"k=5,20 temperature=0.07",
    "finetune": b"steps=200,300 lr=0.1,0.01 batch_size=32 decay_at=0.3,0.6",
}
_WORDS = ("l2_min", "steps", "lr", "k", "decay_at", "[0.1,0.01]", "0.1,none", "1e400", "1" + "0" * 400, "-0.0", "1.5")


def _override(protocol: str) -> Callable[[str], None]:
    def read(text: str) -> None:
        built = build_protocol(protocol, parse_overrides(text.split(" ")))
        built.grid()
        identity(built)

    return read


def _run_study(folder: Path) -> None:
    """What `vtab run --study` does before it loads anything."""
    settings = SweepSettings(**merged(read_study(folder / "study.toml", RunSettings), {}), command="vtab run")
    tasks = settings.chosen_tasks()
    build_protocol(settings.protocol, settings.set).grid()
    for backbone in settings.required_backbones():
        spec.parse(backbone)
    make_jobs(settings.required_backbones(), tasks, settings)
    settings.make_executor()


def _whole_study(folder: Path) -> None:
    """What `vtab study` does before it makes anything."""
    open_study(read_whole_study(folder / "study.toml"))


def _pretrain_settings(folder: Path) -> None:
    found = registry.pretrainers.get("vivi-ex4")
    apply_overrides(found.settings, read_toml(folder / "settings.toml", "--settings"), "pretrainer 'vivi-ex4'")


def _pretrain_overrides(text: str) -> None:
    found = registry.pretrainers.get("vivi-ex4")
    apply_overrides(found.settings, parse_overrides(text.split(" ")), "pretrainer 'vivi-ex4'")


def _seeds(text: str) -> None:
    SweepSettings(seeds=text)  # type: ignore[arg-type]


READERS = (
    *(
        Reader(
            f"--set of {protocol}",
            lambda folder, given=given: given,
            text_mutator("  ===,,", _WORDS),
            as_text(_override(protocol)),
            share=3,
        )
        for protocol, given in _OVERRIDES.items()
    ),
    Reader(
        "--set of a pretrainer",
        lambda folder: b"steps=200 lr=0.1 warmup=5 decay_at=10,20 colour=none encoder=resnet18 shot_loss=none",
        text_mutator("  ===,,", _WORDS),
        as_text(_pretrain_overrides),
        share=3,
    ),
    Reader("--seeds", lambda folder: b"0,1,2", text_mutator(",", ("3", "0")), as_text(_seeds), share=2),
    Reader(
        "--train-examples",
        lambda folder: b"5-shot",
        text_mutator("-", ("1000",)),
        as_text(TrainExamples.parse),
        share=2,
    ),
    Reader("study file", lambda folder: _STUDY, toml_damaged, in_file("study.toml", _run_study), share=2),
    Reader("whole study", lambda folder: _WHOLE_STUDY, toml_damaged, in_file("study.toml", _whole_study), share=2),
    Reader(
        "--settings of a pretrainer",
        lambda folder: _SETTINGS,
        toml_damaged,
        in_file("settings.toml", _pretrain_settings),
        share=2,
    ),
)
