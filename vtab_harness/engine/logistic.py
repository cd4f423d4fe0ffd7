"""Multinomial logistic regression, a whole path of L2 strengths as one batched convex problem.

Minimises, for each strength lambda, ``mean cross-entropy + lambda / 2 * ||W||^2`` with the bias unpenalised. For three
or more classes scikit-learn's ``LogisticRegression(C=1 / (lambda * N))`` has the same minimiser; its two-class form has
one weight vector instead of two, and there its lambda is half of ours.

Three things make this fast:

* The centred features are rotated to their principal axes (at most ``min(N, D)`` of them), where the Hessian is close
  to diagonal, so that limited-memory BFGS (Nocedal & Wright, Numerical Optimization, algorithm 7.4) starts from a good
  inverse Hessian.
* Logits are linear along a search direction: a line search costs no matrix products, however many steps it tries.
* The minimiser moves smoothly with log lambda. The stronger part of the path is solved as one batch from zero; the
  weaker strengths, where the problem is badly conditioned, start from an extrapolation and need a few steps each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

# exp(-100) vanishes in float32, and as the logits of the other classes sum to zero this one can never be the largest.
ABSENT_CLASS_BIAS = -100.0
# Eigenvalues of the Gram matrix below this part of the largest are noise of float32 features.
RANK_CUT = 1e-12
MEMORY = 8
LINE_SEARCH_TRIALS = 12
# The share of the strengths solved from zero, and how many at a time follow by extrapolation.
COLD_SHARE = 0.25
WARM_BATCH = 1
# Steps between two words about progress: what listens may take as long as a tenth of a step.
TELL_EVERY = 10


@dataclass(frozen=True, slots=True)
class LogisticPath:
    """Solutions along a path of S strengths.

    Attributes:
        weights: float32 (S, D, C).
        bias: float32 (S, C).
        objective: Mean cross-entropy in nats plus penalty, float64 (S,).
        gradient_norm: Largest absolute entry of the gradient in the original feature coordinates, recomputed from the
            returned weights, float64 (S,).
        iterations: Steps taken, int64 (S,).
    """

    weights: Tensor
    bias: Tensor
    objective: Tensor
    gradient_norm: Tensor
    iterations: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """Returns logits, float32 (S, B, C), of features, float32 (B, D)."""
        with _full_precision():
            return torch.matmul(features, self.weights) + self.bias[:, None]


@torch.no_grad()
def solve(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    strengths: Sequence[float],
    *,
    tolerance: float = 1e-5,
    gap_tolerance: float = 1e-5,
    max_iterations: int = 500,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LogisticPath:
    """Solves the problem for every strength.

    The gradient alone is a poor stop for weak strengths on separable examples: it becomes tiny long before the
    objective is near its minimum. A strength is therefore left only when the estimated distance of the objective from
    its minimum is small as well, or when float32 allows no further descent.

    A class without examples gets zero weights and a bias so low that its probability is zero.

    Args:
        features: float32 (N, D).
        labels: int64 (N,), in ``0 .. num_classes - 1``.
        num_classes: C.
        strengths: The S values of lambda, positive, in any order.
        tolerance: Bound on the largest absolute entry of the gradient, in the features' own coordinates.
        gap_tolerance: Bound on the estimated distance from the minimum, as a part of the objective.
        max_iterations: Cap on the steps of each strength.
        progress: Told (strengths solved, S) every `TELL_EVERY` steps, though nothing may be solved between; what it
            raises ends the work.

    Raises:
        ValueError: Features are not finite, or an argument is out of range.
    """
    if features.ndim != 2 or len(features) == 0 or labels.shape != (len(features),):
        raise ValueError(f"need features (N, D) and labels (N,), N > 0; got {features.shape} and {labels.shape}")
    if not bool(torch.isfinite(features).all()):
        raise ValueError("the features hold values that are not finite")
    if not strengths or not all(math.isfinite(value) and value > 0 for value in strengths):
        raise ValueError(f"every L2 strength must be positive and finite, got {list(strengths)}")
    present, index = torch.unique(labels, return_inverse=True)
    if int(present[0]) < 0 or int(present[-1]) >= num_classes:
        raise ValueError(f"labels must lie in 0 .. {num_classes - 1}")
    features = features.float()
    with _full_precision():
        problem = _Problem.rotate(features, index, len(present))
        inner, iterations = _follow_path(problem, strengths, tolerance, gap_tolerance, max_iterations, progress)
        weights = features.new_zeros(len(strengths), features.shape[1], num_classes)
        weights[:, :, present] = torch.matmul(problem.basis / problem.scale, inner[:, :-1])
        bias = features.new_full((len(strengths), num_classes), ABSENT_CLASS_BIAS)
        bias[:, present] = inner[:, -1] - torch.matmul(problem.mean, weights[:, :, present])
        penalties = torch.tensor(strengths, dtype=torch.float64, device=features.device)
        objective, gradient_norm = _measure(features, labels, weights, bias, penalties)
    return LogisticPath(weights, bias, objective, gradient_norm, iterations)


@contextmanager
def _full_precision() -> Iterator[None]:
    """Keeps matrix products in true float32: with TF32 the gradient would never get below the tolerance."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _measure(
    features: Tensor, labels: Tensor, weights: Tensor, bias: Tensor, penalties: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns objectives and largest gradient entries, float64 (S,), from the weights that are handed out."""
    objectives, norms = [], []
    for weight, offset, penalty in zip(weights, bias, penalties, strict=True):
        log_probability = torch.log_softmax(features @ weight + offset, 1)
        loss = -log_probability.gather(1, labels[:, None]).double().mean()
        objectives.append(loss + penalty / 2 * weight.double().square().sum())
        residual = log_probability.exp_()
        residual[torch.arange(len(labels), device=labels.device), labels] -= 1
        gradient = torch.addmm(weight, features.T, residual, beta=float(penalty), alpha=1 / len(labels))
        norms.append(torch.maximum(gradient.abs().max().double(), residual.double().mean(0).abs().max()))
    return torch.stack(objectives), torch.stack(norms)


@dataclass(frozen=True, slots=True)
class _Problem:
    """The examples in rotated coordinates; the last of the R coordinates is the constant 1 of the bias.

    Attributes:
        design: Rotated, centred and scaled features, float32 (N, R).
        transposed: ``design.T / N``, float32 (R, N).
        curvature: Mean square of every column of `design`, float32 (R, 1).
        basis: Orthonormal principal axes, float32 (D, R - 1).
        mean: float32 (D,).
        scale: Root mean square of the centred features, float32 (); removing it keeps squares within float32.
        onehot: float32 (N, C).
        index: Classes, int64 (1, N, 1).
    """

    design: Tensor
    transposed: Tensor
    curvature: Tensor
    basis: Tensor
    mean: Tensor
    scale: Tensor
    onehot: Tensor
    index: Tensor

    @classmethod
    def rotate(cls, features: Tensor, index: Tensor, classes: int) -> _Problem:
        """Rotates with the eigenvectors of the smaller Gram matrix, in float64 as it squares the condition number."""
        count, size = features.shape
        centred = features.double()
        mean = centred.mean(0)
        centred = centred - mean
        scale = centred.square().mean().sqrt()
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        centred = centred / scale
        dual = count <= size
        values, vectors = torch.linalg.eigh(centred @ centred.T if dual else centred.T @ centred)
        keep = (values > values[-1] * RANK_CUT) & (values > 0)
        values, vectors = values[keep], vectors[:, keep]
        basis = (centred.T @ vectors) / values.sqrt() if dual else vectors
        rotated = vectors * values.sqrt() if dual else centred @ vectors
        design = torch.cat([rotated, rotated.new_ones(count, 1)], 1)
        return cls(
            design.float(),
            (design.T / count).float().contiguous(),
            design.square().mean(0).float()[:, None],
            basis.float(),
            mean.float(),
            scale.float(),
            torch.nn.functional.one_hot(index, classes).float(),
            index[None, :, None],
        )

    def start(self, count: int) -> Tensor:
        """Returns zero weights with the log priors as bias, float32 (count, R, C)."""
        prior = self.onehot.mean(0).log()
        inner = prior.new_zeros(count, self.design.shape[1], len(prior))
        inner[:, -1] = prior - prior.mean()
        return inner

    def loss(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the mean cross-entropy, float64 (S,), and the probabilities, float32 (S, N, C)."""
        log_probability = torch.log_softmax(logits, 2)
        picked = log_probability.gather(2, self.index.expand(len(logits), -1, -1))
        return -picked.double().mean((1, 2)), log_probability.exp_()

    def gradient_norm(self, gradient: Tensor) -> Tensor:
        """Returns the largest entry of rotated gradients (S, R, C) in the features' own coordinates, float32 (S,)."""
        offset = gradient[:, -1:]
        own = self.scale * torch.matmul(self.basis, gradient[:, :-1]) + self.mean[:, None] * offset
        return torch.maximum(own.abs().amax((1, 2)), offset.abs().amax((1, 2)))

    def gradient_guess(self, gradient: Tensor) -> Tensor:
        """Guesses `gradient_norm` without the product: entries of a rotated column are about equally large."""
        column = gradient[:, :-1].square().sum(1).amax(1).sqrt() * self.scale
        return torch.maximum(2 * column / math.sqrt(len(self.mean)), gradient[:, -1].abs().amax(1))


def _follow_path(
    problem: _Problem,
    strengths: Sequence[float],
    tolerance: float,
    gap_tolerance: float,
    max_iterations: int,
    progress: Callable[[int, int], None],
) -> tuple[Tensor, Tensor]:
    """Solves from the strongest to the weakest; returns inner weights (S, R, C) and iterations (S,) in given order."""
    order = sorted(range(len(strengths)), key=lambda i: -strengths[i])
    logs = [math.log(strengths[i]) for i in order]
    lambdas = torch.tensor([strengths[i] for i in order], dtype=torch.float64, device=problem.design.device)
    penalties = lambdas.new_zeros(len(order), problem.design.shape[1], 1)
    penalties[:, :-1, 0] = (lambdas / problem.scale.double().square())[:, None]
    cold = min(len(order), max(2, math.ceil(COLD_SHARE * len(order))))
    stops = [cold, *range(cold + WARM_BATCH, len(order), WARM_BATCH)]
    stops += [len(order)] * (stops[-1] < len(order))
    solved: list[Tensor] = []
    steps: list[Tensor] = []
    for begin, end in zip([0, *stops], stops, strict=False):
        start = problem.start(end - begin)
        if begin:
            gap = logs[begin - 2] - logs[begin - 1]
            ahead = [min(4.0, (logs[begin - 1] - logs[i]) / gap) if gap > 1e-6 else 0.0 for i in range(begin, end)]
            last, before = solved[-1][-1], torch.cat(solved[-2:])[-2]
            start = last + start.new_tensor(ahead)[:, None, None] * (last - before)
        descent = _Descent(problem, penalties[begin:end].float(), start)

        def tell(done: int, before: int = begin) -> None:
            progress(before + done, len(order))

        weights, taken = descent.run(tolerance, gap_tolerance, max_iterations, tell)
        solved.append(weights)
        steps.append(taken)
    progress(len(order), len(order))
    back = torch.tensor(order, device=problem.design.device).argsort()
    return torch.cat(solved)[back], torch.cat(steps)[back]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of each strength, float64 (S,)."""
    product: Tensor = torch.linalg.vecdot(a.flatten(1), b.flatten(1))
    return product.double()


def _wide(a: Tensor) -> Tensor:
    """A value for each strength, as float32 (S, 1, 1)."""
    return a.float()[:, None, None]


@dataclass(slots=True)
class _Descent:
    """Preconditioned L-BFGS on a batch of strengths; strengths that are done leave the batch.

    The host waits for the device once for the stop test of an iteration and once for each trial of its line search,
    which is the first one most of the time.

    Attributes:
        problem: The examples.
        penalty: lambda for every coordinate, 0 for the bias, float32 (S, R, 1).
        weights: float32 (S, R, C).
        memory: Triples of step (S, R, C), change of the gradient (S, R, C) and 1 / their product, float64 (S,).
    """

    problem: _Problem
    penalty: Tensor
    weights: Tensor
    memory: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    def run(
        self, tolerance: float, gap_tolerance: float, max_iterations: int, tell: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        """Returns the weights (S, R, C) and the iterations, int64 (S,); tells how many strengths are done."""
        problem, total = self.problem, len(self.weights)
        result = self.weights.clone()
        taken = torch.full((total,), max_iterations, device=result.device)
        active = torch.arange(total, device=result.device)
        stalls = torch.zeros_like(active)
        logits = torch.matmul(problem.design, self.weights)
        loss, probability = problem.loss(logits)
        step = before = torch.empty(0)
        for iteration in range(max_iterations + 1):
            if iteration % TELL_EVERY == 0:
                # A shape, for which nobody waits.
                tell(total - len(active))
            spread = (probability - probability.square()).mean(1, keepdim=True)
            penalised = self.penalty * self.weights
            gradient = torch.matmul(problem.transposed, probability - problem.onehot).add_(penalised)
            # 1e-8 keeps the bias of a perfectly fitted class from a division by zero.
            hessian = (spread * problem.curvature + self.penalty).clamp_(min=1e-30)
            hessian[:, -1] += 1e-8
            if iteration:
                change = gradient - before
                product = _dot(step, change)
                inverse = torch.where(product > 0, 1 / product, torch.zeros_like(product))
                self.memory = [*self.memory, (step, change, inverse)][-MEMORY:]
            value = loss + _dot(penalised, self.weights) / 2
            small = _dot(gradient, gradient / hessian) / 2 <= gap_tolerance * value
            # The margin of a tenth is for the rounding of the final check, which is made on other coordinates.
            small &= problem.gradient_guess(gradient) <= tolerance
            done = stalls > 1
            candidates = small.nonzero()[:, 0]
            if len(candidates):
                done[candidates] |= problem.gradient_norm(gradient[candidates]) <= 0.9 * tolerance
            if iteration == max_iterations:
                done = torch.ones_like(done)
            if bool(done.any()):
                result[active[done]] = self.weights[done]
                taken[active[done]] = iteration
                if bool(done.all()):
                    break
                rest = (~done).nonzero()[:, 0]
                active, stalls, loss = active[rest], stalls[rest], loss[rest]
                logits, gradient, hessian = logits[rest], gradient[rest], hessian[rest]
                self.penalty, self.weights = self.penalty[rest], self.weights[rest]
                self.memory = [(s[rest], y[rest], r[rest]) for s, y, r in self.memory]
            direction = self._direction(gradient, hessian)
            slope = torch.matmul(problem.design, direction)
            length, loss, probability = self._line_search(logits, slope, direction, _dot(gradient, direction), loss)
            # A strength that could not move forgets its memory and tries once more along the plain direction.
            stuck = length == 0
            stalls = torch.where(stuck, stalls + 1, torch.zeros_like(stalls))
            self.memory = [(s, y, torch.where(stuck, torch.zeros_like(r), r)) for s, y, r in self.memory]
            step, before = direction * _wide(length), gradient
            self.weights = self.weights + step
            logits = torch.addcmul(logits, slope, _wide(length))
        return result, taken

    def _direction(self, gradient: Tensor, hessian: Tensor) -> Tensor:
        """Two-loop recursion that starts from the diagonal `hessian`, scaled by the newest pair."""
        direction = -gradient
        shares = []
        for step, change, inverse in reversed(self.memory):
            share = inverse * _dot(step, direction)
            shares.append(share)
            direction.addcmul_(change, _wide(-share))
        direction.div_(hessian)
        if self.memory:
            _, change, inverse = self.memory[-1]
            curvature = inverse * _dot(change, change / hessian)
            direction.mul_(_wide(torch.where(curvature > 0, 1 / curvature, torch.ones_like(curvature))))
        for (step, change, inverse), share in zip(self.memory, reversed(shares), strict=True):
            direction.addcmul_(step, _wide(share - inverse * _dot(change, direction)))
        return direction

    def _line_search(
        self, logits: Tensor, slope: Tensor, direction: Tensor, descent: Tensor, loss: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Finds a length at which the derivative has at least halved, by bracketing and regula falsi.

        Returns:
            Lengths, float64 (S,), 0 where there is no descent; loss and probabilities there.
        """
        problem, penalised = self.problem, self.penalty * self.weights
        linear, square = _dot(penalised, direction), _dot(self.penalty * direction, direction)
        constant = _dot(penalised, self.weights) / 2
        fitted = slope.gather(2, problem.index.expand(len(slope), -1, -1)).double().mean((1, 2))
        limit = (loss + constant) * (1 + 1e-7) + 1e-9
        low, high = torch.zeros_like(loss), torch.full_like(loss, torch.inf)
        at_low, at_high = descent, high
        length = torch.ones_like(loss)
        for _ in range(LINE_SEARCH_TRIALS):
            now, probability = problem.loss(torch.addcmul(logits, slope, _wide(length)))
            value = now + constant + length * linear + length.square() * square / 2
            derivative = _dot(probability, slope) / len(problem.design) - fitted + linear + length * square
            above = ~(value <= limit)
            accepted = (derivative.abs() <= 0.5 * descent.abs()) & ~above
            if bool(accepted.all()):
                return length, now, probability
            above |= derivative > 0
            low, at_low = torch.where(above, low, length), torch.where(above, at_low, derivative)
            high, at_high = torch.where(above, length, high), torch.where(above, derivative, at_high)
            share = torch.where(at_high > 0, at_low / (at_low - at_high), torch.full_like(low, 0.5))
            inside = low + share.nan_to_num(0.5).clamp(0.1, 0.9) * (high - low)
            length = torch.where(accepted, length, torch.where(high.isinf(), 3 * length, inside))
        length = torch.where(accepted, length, low)
        return length, *problem.loss(torch.addcmul(logits, slope, _wide(length)))
