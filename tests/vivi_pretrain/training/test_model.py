"""The whole model: shapes, which parameters exist, layout, compilation."""

import itertools

import pytest
import torch
from torch import nn

from vivi_pretrain.encoder.timm_encoder import build_encoder
from vivi_pretrain.training.model import ModelSettings, ViviModel

SIZE, SMALL = 16, {"identity_size": 9, "shot_size": 8, "predictor_hidden": 7, "order_hidden": 6}
ALL = [
    dict(zip(("shot_loss", "video_loss", "classes"), values, strict=True))
    for values in itertools.product(
        ("exemplar", "rotation", "none"), ("prediction", "order", "none"), (None, 5)
    )
    if values != ("none", "none", None)
]  # fmt: skip
VARIANTS = [{"predictor": p, "pooling": q} for p, q in itertools.product(("mlp", "lstm"), ("mean", "attention"))]


class _Encoder(nn.Module):
    """Little, and remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.seen = []

    def forward(self, images):
        if not images.is_meta:
            self.seen.append(images)
        return self.body(images)


def _inputs(settings, videos=2, frames=3, labelled=4):
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(videos, settings.shots, frames, 3, SIZE, SIZE, generator=generator)
        if settings.needs_videos
        else None,
        torch.randn(labelled, 3, SIZE, SIZE, generator=generator) if settings.classes is not None else None,
        torch.arange(videos) % 2 == 1 if settings.video_loss == "order" else None,
    )


@pytest.mark.parametrize("chosen", ALL, ids=str)
def test_shapes_and_nothing_superfluous(chosen):
    variants = VARIANTS if chosen["video_loss"] == "prediction" else VARIANTS[:2]
    for variant in variants:
        settings = ModelSettings(shots=3, **chosen, **variant, **SMALL)
        model = ViviModel(_Encoder(), settings, SIZE)
        outputs = model(*_inputs(settings))
        assert len(model.encoder.seen) == 1  # one pass for all images
        predictions = {"mlp": 4, "lstm": 2}[settings.predictor]
        expected = {
            "features": (2, 3, 3, 4) if settings.needs_videos else None,
            "identity": (2, 3, 3, 9) if settings.shot_loss == "exemplar" else None,
            "rotation_logits": (4 * 18, 4) if settings.shot_loss == "rotation" else None,
            "rotation_labels": (4 * 18,) if settings.shot_loss == "rotation" else None,
            "shots": (2, 3, 8) if settings.video_loss != "none" else None,
            "predicted": (2, predictions, 8) if settings.video_loss == "prediction" else None,
            "order_logits": (2, 2) if settings.video_loss == "order" else None,
            "order_labels": (2,) if settings.video_loss == "order" else None,
            "class_logits": (4, 5) if settings.classes is not None else None,
        }
        found = {name: getattr(outputs, name) for name in expected}
        assert {name: None if t is None else tuple(t.shape) for name, t in found.items()} == expected
        losses = [
            found[name].float().square().sum()
            for name in ("rotation_logits", "predicted", "order_logits", "class_logits")
            if found[name] is not None
        ]
        if outputs.identity is not None:
            torch.testing.assert_close(outputs.identity.norm(dim=-1), torch.ones(2, 3, 3))
            losses.append(outputs.identity[..., 0].sum())
        sum(losses).backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_upright_features_and_rotated_copies():
    settings = ModelSettings("rotation", "prediction", shots=2, **SMALL)
    model = ViviModel(_Encoder(), settings, SIZE)
    frames, _, _ = _inputs(settings)
    outputs = model(frames)
    torch.testing.assert_close(outputs.features.flatten(0, 2), model.encoder(frames.flatten(0, 2)))
    images = model.encoder.seen[0]
    for i, turns in enumerate(outputs.rotation_labels.tolist()):
        torch.testing.assert_close(images[i], frames.flatten(0, 2)[i % 12].rot90(turns, (1, 2)))
    torch.testing.assert_close(outputs.rotation_logits, model.rotation_head(model.encoder(images)))
    torch.testing.assert_close(outputs.shots, model.projection(outputs.features.mean(2)))


def test_labelled_images_keep_their_own_logits():
    settings = ModelSettings("exemplar", "none", classes=5, **SMALL)
    model = ViviModel(_Encoder(), settings, SIZE)
    frames, images, _ = _inputs(settings)
    torch.testing.assert_close(model(frames, images).class_logits, model.class_head(model.encoder(images)))
    larger = torch.randn(3, 3, 20, 20)  # of another size: a pass of their own
    torch.testing.assert_close(model(frames, larger).class_logits, model.class_head(model.encoder(larger)))


def test_order_labels_are_the_coins():
    settings = ModelSettings("none", "order", shots=2, **SMALL)
    model = ViviModel(_Encoder(), settings, SIZE)
    frames, _, reverse = _inputs(settings)
    one, other = model(frames, None, reverse), model(frames.flip(1), None, ~reverse)
    torch.testing.assert_close(one.order_logits, other.order_logits)
    assert one.order_labels.tolist() == [0, 1]
    assert other.order_labels.tolist() == [1, 0]


@pytest.mark.parametrize("chosen", [c for c in ALL if (c["shot_loss"], c["video_loss"]) != ("none", "none")], ids=str)
def test_channels_last_reaches_the_encoder(chosen):
    settings = ModelSettings(shots=2, **chosen, **SMALL)
    model = ViviModel(_Encoder(), settings, SIZE).to(memory_format=torch.channels_last)
    frames, images, reverse = _inputs(settings)
    flat = frames.flatten(0, 2).contiguous(memory_format=torch.channels_last)
    if images is not None:
        images = images.contiguous(memory_format=torch.channels_last)
    model(flat.unflatten(0, frames.shape[:3]), images, reverse)
    assert model.encoder.seen[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "chosen",
    [
        {"shot_loss": "exemplar", "video_loss": "prediction", "predictor": "lstm", "shots": 4, "classes": 5},
        {"shot_loss": "rotation", "video_loss": "prediction", "predictor": "mlp", "shots": 2, "pooling": "attention"},
        {"shot_loss": "rotation", "video_loss": "order", "shots": 3},
    ],
    ids=str,
)
def test_compiles_as_one_graph(chosen):
    settings = ModelSettings(**chosen, **SMALL)
    model = ViviModel(build_encoder("test_resnet"), settings, SIZE).eval()
    inputs = _inputs(settings)
    torch._dynamo.reset()
    with torch.no_grad():
        expected = model(*inputs)
        found = torch.compile(model, backend="eager", fullgraph=True)(*inputs)
    assert found.targets == expected.targets
    for name in ("features", "identity", "rotation_logits", "predicted", "order_logits", "class_logits"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("chosen", ALL, ids=str)
def test_trains_under_bf16_autocast(chosen):
    for variant in VARIANTS[::3]:  # MLP with mean pooling, LSTM with attention
        settings = ModelSettings(shots=3, **chosen, **variant, **SMALL)
        model = ViviModel(_Encoder(), settings, SIZE)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = model(*_inputs(settings))
        parts = [outputs.identity, outputs.rotation_logits, outputs.predicted, outputs.order_logits]
        sum(t.float().square().mean() for t in [*parts, outputs.class_logits] if t is not None).backward()
        for name, parameter in model.named_parameters():
            assert bool(torch.isfinite(parameter.grad).all()), name


def test_identities_have_length_one_under_autocast():
    settings = ModelSettings("exemplar", "none", shots=2, **SMALL)
    model = ViviModel(_Encoder(), settings, SIZE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        identity = model(_inputs(settings)[0]).identity
    assert identity.dtype == torch.float32
    torch.testing.assert_close(identity.norm(dim=-1), torch.ones(2, 2, 3))


def test_same_seed_same_weights_and_documented_start():
    settings = ModelSettings("exemplar", "prediction", classes=5, **SMALL)
    models = []
    for _ in range(2):
        torch.manual_seed(3)
        models.append(ViviModel(_Encoder(), settings, SIZE))
    one, other = (m.state_dict() for m in models)
    assert all(torch.equal(one[key], other[key]) for key in one)
    head = models[0].identity_head
    assert head.bias.abs().max().item() == 0
    assert head.weight.abs().max().item() <= (6 / (4 + 9)) ** 0.5


def test_bad_settings_and_inputs():
    with pytest.raises(ValueError, match="2 or more shots"):
        ModelSettings("none", "order", shots=1)
    with pytest.raises(ValueError, match="nothing to learn"):
        ModelSettings("none", "none")
    settings = ModelSettings("exemplar", "order", shots=2, classes=5, **SMALL)
    model = ViviModel(_Encoder(), settings, SIZE)
    frames, images, reverse = _inputs(settings)
    with pytest.raises(ValueError, match="frames must be given"):
        model(None, images, reverse)
    with pytest.raises(ValueError, match="labelled images"):
        model(frames, None, reverse)
    with pytest.raises(ValueError, match="reverse must be given"):
        model(frames, images, None)
    with pytest.raises(ValueError, match="need frames"):
        model(frames.flatten(0, 1), images, reverse)
    with pytest.raises(ValueError, match="built for 2 shots"):
        model(frames[:, :1], images, reverse)
    with pytest.raises(ValueError, match="need reverse"):
        model(frames, images, reverse[:1])
