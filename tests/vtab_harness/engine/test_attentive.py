"""Attentive probes: the same as AIM's module, trained one at a time by PyTorch's own optimiser."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vtab_harness.engine.attentive import Probes, Recipe, attention_heads, train_probes


class Plain(nn.Module):
    """The probe as the paper's code writes it: keys and values of every token, PyTorch's attention."""

    def __init__(self, probes: Probes) -> None:
        super().__init__()
        _, self.heads, _, size = probes.key.shape
        self.query = nn.Parameter(probes.query[0].reshape(1, 1, size).clone())
        self.k, self.v = nn.Linear(size, size, bias=False), nn.Linear(size, size, bias=False)
        self.linear = nn.Linear(size, probes.classifier.shape[1], bias=False)
        with torch.no_grad():
            self.k.weight.copy_(probes.key[0].reshape(size, size))
            self.v.weight.copy_(probes.value[0].reshape(size, size))
            self.linear.weight.copy_(probes.classifier[0])

    def forward(self, tokens: Tensor) -> Tensor:
        batch, _, size = tokens.shape

        def split(values: Tensor) -> Tensor:
            return values.reshape(batch, -1, self.heads, size // self.heads).transpose(1, 2)

        query = split(self.query.expand(batch, -1, -1))
        found = functional.scaled_dot_product_attention(query, split(self.k(tokens)), split(self.v(tokens)))
        scores: Tensor = self.linear(found.transpose(1, 2).reshape(batch, size))
        return scores


def train_plain(model: Plain, tokens: Tensor, labels: Tensor, order: Tensor, recipe: Recipe, index: int) -> None:
    lr, decay = recipe.lr[index], recipe.weight_decay[index]
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, recipe.share)
    for positions in order:
        optimiser.zero_grad()
        functional.cross_entropy(model(tokens[positions]), labels[positions]).backward()
        optimiser.step()
        schedule.step()


def drawn(count: int, length: int = 7, size: int = 128, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (count,), generator=generator)
    tokens = torch.randn(count, length, size, generator=generator)
    # Only one token, at a place that differs, says which class it is.
    places = torch.randint(length, (count,), generator=generator)
    tokens[torch.arange(count), places] += 4 * torch.randn(classes, size, generator=generator)[labels]
    return tokens, labels


def test_scores_are_those_of_the_plain_module() -> None:
    tokens, _ = drawn(20)
    probes = Probes.initial(2, 128, 3, seed=1, device=torch.device("cpu"))
    probes.query.mul_(50)
    assert attention_heads(128) == 2
    plain = Plain(probes)(tokens)
    for scores in probes.scores(tokens):
        torch.testing.assert_close(scores, plain, rtol=1e-4, atol=1e-5)


def test_a_grid_trained_at_once_is_that_of_probes_trained_in_turn() -> None:
    tokens, labels = drawn(60)
    recipe = Recipe([1e-3, 1e-2, 1e-3], [0.0, 0.1, 1.0], steps=30, batch_size=16, warmup=0.2)
    probes = Probes.initial(3, 128, 3, seed=1, device=torch.device("cpu"))
    plains = [Plain(probes) for _ in range(3)]
    diverged = train_probes(lambda positions: tokens[positions], labels, probes, recipe, seed=5)
    assert diverged.tolist() == [-1, -1, -1]
    order = recipe.order(60, 5)
    assert torch.bincount(order.flatten(), minlength=60).min() == 8
    for i, plain in enumerate(plains):
        before = plain.linear.weight.detach().clone()
        train_plain(plain, tokens, labels, order, recipe, i)
        moved = (plain.linear.weight - before).abs().max()
        assert moved > 1e-3
        torch.testing.assert_close(probes.scores(tokens)[i], plain(tokens), rtol=2e-3, atol=2e-3)
    assert (probes.scores(tokens)[1].argmax(1) == labels).double().mean() > 0.9


def test_a_probe_that_diverges_leaves_the_others_alone() -> None:
    tokens, labels = drawn(40)
    recipe = Recipe([1e-3, 1e30], [0.0, 0.0], steps=60, batch_size=16, warmup=0.0)
    alone = Recipe([1e-3], [0.0], steps=60, batch_size=16, warmup=0.0)
    both = Probes.initial(2, 128, 3, seed=1, device=torch.device("cpu"))
    one = Probes.initial(1, 128, 3, seed=1, device=torch.device("cpu"))
    diverged = train_probes(lambda positions: tokens[positions], labels, both, recipe, seed=0).tolist()
    train_probes(lambda positions: tokens[positions], labels, one, alone, seed=0)
    assert diverged[0] == -1
    assert 0 < diverged[1] < 60
    torch.testing.assert_close(both.only(0).scores(tokens), one.scores(tokens), rtol=1e-3, atol=1e-3)


def test_the_rate_rises_and_falls_to_nothing() -> None:
    recipe = Recipe([1.0], [0.0], steps=100, batch_size=1, warmup=0.1)
    shares = [recipe.share(step) for step in range(100)]
    assert shares[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert shares[10] == pytest.approx(1.0)
    assert sorted(shares[10:], reverse=True) == shares[10:]
    assert 0 < shares[-1] < 1e-3
