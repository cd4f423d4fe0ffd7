"""Every loss through the whole model, on one rank of several: `python joint_gradients.py RANK RANKS FOLDER`.

Every rank takes its part of the same global batch. Rank 0 saves for each case the mean of the losses over ranks and the
gradients that DistributedDataParallel leaves.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from vivi_pretrain.terms.exemplar import batch_hard, semi_hard
from vivi_pretrain.terms.gathering import all_gather_with_gradient, first_row
from vivi_pretrain.terms.prediction import prediction
from vivi_pretrain.terms.rotation import rotation
from vivi_pretrain.terms.shot_order import shot_order
from vivi_pretrain.terms.supervised import supervised
from vivi_pretrain.training.model import ModelSettings, ViviModel

VIDEOS, FRAMES, SIZE, LABELLED, CLASSES = 4, 3, 8, 6, 5
SMALL = {"identity_size": 7, "shot_size": 6, "predictor_hidden": 5, "order_hidden": 5}


def _only(shot="none", video="none", shots=2, **more):
    return ModelSettings(shot_loss=shot, video_loss=video, shots=shots, **SMALL, **more)


def _exemplar(loss, same):
    def compute(outputs, labels):
        everybody = all_gather_with_gradient(outputs.identity)
        return loss(outputs.identity, everybody, first_row(len(outputs.identity)), same_video_negatives=same).value

    return compute


def _prediction(**options):
    def compute(outputs, labels):
        everybody = all_gather_with_gradient(outputs.shots)
        first = first_row(len(outputs.shots))
        return prediction(outputs.predicted, outputs.targets, outputs.shots, everybody, first, **options).value

    return compute


def _everything(outputs, labels):
    return (
        _exemplar(batch_hard, False)(outputs, labels)
        + 0.5 * _prediction()(outputs, labels)
        + 2 * supervised(outputs.class_logits, labels).value
    )


CASES = {
    "batch_hard": (_only("exemplar"), _exemplar(batch_hard, False)),
    "batch_hard, same video": (_only("exemplar"), _exemplar(batch_hard, True)),
    "semi_hard": (_only("exemplar"), _exemplar(semi_hard, False)),
    "semi_hard, same video": (_only("exemplar"), _exemplar(semi_hard, True)),
    "rotation": (_only("rotation"), lambda o, y: rotation(o.rotation_logits, o.rotation_labels).value),
    "prediction, mlp": (_only(video="prediction", predictor="mlp"), _prediction()),
    "prediction, lstm": (_only(video="prediction", predictor="lstm", shots=4), _prediction()),
    "prediction, cosine": (
        _only(video="prediction", predictor="lstm", shots=3, pooling="attention"),
        _prediction(normalise=True, temperature=0.2),
    ),
    "order": (_only(video="order", shots=3), lambda o, y: shot_order(o.order_logits, o.order_labels).value),
    "supervised": (_only(classes=CLASSES), lambda o, y: supervised(o.class_logits, y).value),
    "everything": (_only("exemplar", "prediction", classes=CLASSES, predictor="mlp"), _everything),
}


def _encoder():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def run(dtype, rank=0, ranks=1):
    """Returns for each case the loss of the joint batch and the gradients of all parameters."""
    results = {}
    for name, (settings, compute) in CASES.items():
        torch.manual_seed(0)
        model = ViviModel(_encoder(), settings, SIZE).to(dtype)
        generator = torch.Generator().manual_seed(1)
        frames = torch.randn(VIDEOS, settings.shots, FRAMES, 3, SIZE, SIZE, generator=generator, dtype=torch.float64)
        images = torch.randn(LABELLED, 3, SIZE, SIZE, generator=generator, dtype=torch.float64).to(dtype)
        labels = torch.randint(CLASSES, (LABELLED,), generator=generator)
        reverse = torch.tensor([True, False, False, True])
        frames, images, labels, reverse = (t.chunk(ranks)[rank] for t in (frames.to(dtype), images, labels, reverse))
        wrapped = DistributedDataParallel(model) if ranks > 1 else model
        # Twice: a parameter without a gradient would stop DistributedDataParallel at the second pass.
        for _ in range(2):
            model.zero_grad()
            outputs = wrapped(
                frames if settings.needs_videos else None,
                images if settings.classes is not None else None,
                reverse if settings.video_loss == "order" else None,
            )
            loss = compute(outputs, labels)
            loss.backward()
        value = loss.detach().clone()
        if ranks > 1:
            dist.all_reduce(value)
        results[name] = (value / ranks, {key: p.grad.clone() for key, p in model.named_parameters()})
    return results


if __name__ == "__main__":
    number, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=number, world_size=count)
    found = {str(dtype): run(dtype, number, count) for dtype in (torch.float32, torch.float64)}
    if number == 0:
        torch.save(found, folder / "joint.pt")
    dist.destroy_process_group()
