"""`check_protocol`: what a protocol searches, trains and predicts, on small problems that are drawn for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vtab_harness.api.protocols import EvaluationProtocol, Predictor, Search, Trial, TrialLog, trial_key
from vtab_harness.protocols.settings import check_contract
from vtab_harness.testing.clauses import expect_members, expect_plain, expect_settings, time_limit, working
from vtab_harness.testing.problems import own_random_numbers
from vtab_harness.testing.solver import Run, Solver, alike, close, read_again

_BEST = "Return Search.best_of(trials)."
_LOG = "Run each trial through log.run(settings, trial)."
_SEED = "Draw all random numbers from generators that are seeded with `seed`, those of a search with a setting."
_STATE = "Keep nothing on the instance or the class; compute everything from the arguments."
_COPIES = "Work on copies; bench.trainable_copy() gives one of the network."


def check_protocol(
    protocol: Callable[..., EvaluationProtocol], settings: Any = None, *, timeout: float | None = None
) -> None:
    """Checks a protocol with some settings, on drawn features, or images and a tiny network, of four classes.

    What is declared:

    - All members are there and of use. `settings` is a frozen dataclass, and ``--set key=value`` can give every field.
    - `grid` lists every trial that a search has, in order, each once, in plain JSON values.
    - `training_images` gives whole numbers from 0 on.

    What is chosen:

    - `search` returns a `Search` of `Trial` objects that survive JSON, and chooses a finished one.
    - Trials are trained on the training examples alone: with wrong labels on the validation examples, none is right.
    - Finished trials are taken from the `TrialLog`, new ones are kept in it, and a search that goes on after some of
      its trials gives what an undisturbed one gives.
    - `fit` keeps to the choice: the search is as it was afterwards, and another choice gives another classifier.

    What is predicted:

    - Scores are float32 (B, classes), without NaN, also where a class has no training example.
    - The scores of an example depend neither on the other examples of a batch, nor on its size, nor on what was
      predicted before.

    What it may not depend on, and may not do:

    - Test inputs, whatever way it finds them: with others, search and training come out the same.
    - Random states outside: the same seed gives the same result. With ``seeds = 1`` every seed does.
    - What an instance, or another one of the class, was used for before. Other examples give another result.
    - Its arguments stay as they are: examples, labels, the backbone's weights and mode.
    - `state` and `restore`, if it has them, give a predictor with the same scores.

    Args:
        protocol: The class, as it is registered.
        settings: An instance of its settings; None means the defaults. Make them small: there are some 20 searches.
        timeout: Seconds after which the check gives up; see `vtab_harness.testing.clauses.time_limit`.

    Raises:
        ContractError: A clause does not hold.

    Examples:
        >>> from vtab_harness.protocols.few import NearestCentroid
        >>> from vtab_harness.testing import check_protocol
        >>> check_protocol(NearestCentroid)
    """
    with time_limit(timeout, "The check of the protocol"), own_random_numbers():
        solver = Solver(protocol, settings)
        _check_declaration(solver)
        for check in (
            _check_arguments,
            _check_absent_class,
            _check_seeds,
            _check_trained_apart,
            _check_log,
            _check_choice,
            _check_batches,
            _check_test_inputs,
            _check_calls,
            _check_restoring,
        ):
            check(solver)


def _check_declaration(solver: Solver) -> None:
    protocol, what = solver.make(), solver.what
    expect_members(protocol, EvaluationProtocol, what)
    with working(f"{what}: its members", "See vtab_harness.api.protocols.EvaluationProtocol."):
        check_contract(protocol)
    expect_settings(protocol.settings, what)
    kept = solver.settings is None or protocol.settings == solver.settings
    solver.expect(kept, "has other settings than it was made with.", "Keep the argument as `settings`.")
    for trial in protocol.grid():
        expect_plain(dict(trial), f"{what}: writing {dict(trial)} of its grid as JSON")
    for sizes in ((800, 1000, 1), (800, 1000, 3), (2, 3, 1)):
        with working(f"{what}: training_images{sizes}", "It is called with three whole numbers."):
            count = protocol.training_images(*sizes)
        whole = isinstance(count, int) and not isinstance(count, bool) and count >= 0
        solver.expect(whole, f": training_images{sizes} is {count!r}.", "Give a whole number, 0 or more.")


def _searched(solver: Solver, problem: Any) -> tuple[EvaluationProtocol, Search]:
    """Runs a search with a fresh instance, and checks the form of what it gives."""
    protocol = solver.make()
    search = solver.search(protocol, problem)
    fine = type(search) is Search and isinstance(search.trials, tuple) and search.trials
    solver.expect(fine, f": its search gives {type(search).__name__}.", _BEST)
    inside = isinstance(search.chosen, int) and 0 <= search.chosen < len(search.trials)
    solver.expect(inside, f": its search chooses number {search.chosen} of {len(search.trials)}.", _BEST)
    for trial in search.trials:
        with working(f"{solver.what}: writing a trial as JSON", "Use plain numbers: float(tensor), not the tensor."):
            again = read_again(trial)
        solver.expect(again == trial, f": {trial!r} is {again!r} as JSON.", "Use plain numbers, texts and lists.")
        accuracy, loss = trial.validation_accuracy, trial.validation_loss
        if trial.status == "finished":
            right = accuracy is not None and 0 <= accuracy <= 1 and (loss is None or math.isfinite(loss))
            solver.expect(right, f": a trial has accuracy {accuracy}, loss {loss}.", "Give 0..1, and a finite loss.")
        else:
            solver.expect(accuracy is loss is None, ": a diverged trial has a score.", "Leave accuracy and loss out.")
    solver.expect(search.choice.status == "finished", ": its search chooses a diverged trial.", _BEST)
    grid = [trial_key(settings) for settings in protocol.grid()]
    keys = [trial_key(trial.settings) for trial in search.trials]
    listed = [key for key in grid if key in keys]
    solver.expect(
        keys == listed,
        f": its search has the trials {', '.join(keys)}; its grid lists {', '.join(grid)}.",
        "List every trial in grid(), in order; the plan counts them.",
    )
    return protocol, search


def _check_arguments(solver: Solver) -> None:
    """Checks what a search and a predictor give, and that nothing is changed on the way."""
    problem = solver.draw()
    before, test = problem.state(), problem.test.clone()
    protocol, search = _searched(solver, problem)
    choice, kept = search.choice, [trial_key(trial.settings) for trial in search.trials]
    solver.scores(solver.fit(protocol, problem, choice), problem.test)
    for name, was, now in zip(before, before.values(), problem.state().values(), strict=True):
        same = torch.equal(was, now) if isinstance(was, Tensor) else was == now
        solver.expect(same, f"changes the {name}.", _COPIES)
    solver.expect(torch.equal(test, problem.test), "changes the test inputs.", _COPIES)
    same = search.choice is choice and kept == [trial_key(trial.settings) for trial in search.trials]
    solver.expect(same, "changes its choice in fit or in prediction.", "A search is final when it is returned.")


def _check_trained_apart(solver: Solver) -> None:
    """Finds a search that trains on the examples that it chooses on."""
    problem = solver.draw(train=24, validation=72, shifted=True)
    best = max(trial.validation_accuracy or 0.0 for trial in _searched(solver, problem)[1].trials)
    solver.expect(
        best <= 0.5,
        f": its search has learned the labels that it chooses by: {best:.0%} of them right, where all are wrong ones.",
        "Train each trial on `train` alone; `fit` gets both.",
    )


def _check_log(solver: Solver) -> None:
    """Checks that a search that was interrupted goes on."""
    problem = solver.draw()
    kept: list[Trial] = []
    whole = solver.search(solver.make(), problem, TrialLog(keep=kept.append))
    trials = {trial_key(trial.settings): read_again(trial) for trial in whole.trials}
    same = sorted(trial_key(trial.settings) for trial in kept) == sorted(trials)
    solver.expect(same, f"keeps {len(kept)} of {len(trials)} trials in the log.", _LOG)
    # Notes are neither searched nor ranked by: they show which trial is a kept one.
    marked = {key: replace(trial, notes={**trial.notes, "kept": 1.0}) for key, trial in trials.items()}
    keys = list(trials)
    for some in (keys, keys[:1], keys[len(keys) // 2 :], keys[:-1]):
        kept.clear()
        finished = {key: marked[key] for key in some} | {trial_key({"of": "another grid"}): marked[keys[0]]}
        search = solver.search(solver.make(), problem, TrialLog(finished, kept.append))
        found = {trial_key(trial.settings): trial for trial in search.trials}
        taken = all(found.get(key) == marked[key] for key in some)
        solver.expect(taken, ": its search does not take finished trials from the log.", _LOG)
        left = sorted(trial_key(trial.settings) for trial in kept)
        solver.expect(left == sorted({*keys} - {*some}), "keeps other trials than the new ones in the log.", _LOG)
        found |= {key: trials[key] for key in some}
        solver.expect(
            search.chosen == whole.chosen and alike(found, trials),
            f": a search that goes on after {len(some)} of {len(keys)} trials differs from an undisturbed one.",
            "No trial may depend on one before it, nor on how many are left.",
        )


def _check_choice(solver: Solver) -> None:
    """Finds a final training that does not keep to the choice."""
    problem = solver.draw()
    finished = [trial for trial in _searched(solver, problem)[1].trials if trial.status == "finished"]
    scores = [solver.scores(solver.fit(solver.make(), problem, trial), problem.test) for trial in finished]
    solver.expect(
        len(scores) == 1 or any(not close(scores[0], other) for other in scores[1:]),
        f": its final training comes out the same whichever of {len(finished)} trials was chosen.",
        "Train with choice.settings. What is chosen again in fit is chosen after seeing too much.",
    )


def _check_batches(solver: Solver) -> None:
    """Finds a predictor that adapts to what it is asked."""
    problem = solver.draw()
    predictor = solver.run(solver.make(), problem).predictor
    whole = solver.scores(predictor, problem.test)
    mend = "Put networks in eval mode; normalise with what was learned from the training examples."
    for size in (1, 7):
        parts = [solver.scores(predictor, part) for part in reversed(torch.split(problem.test, size))]
        same = close(whole, torch.cat(parts[::-1]))
        solver.expect(same, ": its scores depend on the size or the order of test batches.", mend)
    mixed = problem.test.clone()
    mixed[3:] *= 40
    same = close(whole[:3], solver.scores(predictor, mixed)[:3])
    solver.expect(same, ": the scores of an example depend on the others of its batch.", mend)
    same = close(whole, solver.scores(predictor, problem.test))
    solver.expect(same, ": its scores depend on what was predicted before.", "Keep no state in the predictor.")


def _check_absent_class(solver: Solver) -> None:
    """Checks that a class without a training example does no harm."""
    problem = solver.draw(absent=True)
    with working(f"{solver.what}, where a class has no training example", "Give such a class the lowest score."):
        protocol, search = _searched(solver, problem)
        solver.scores(solver.fit(protocol, problem, search.choice, on=problem.train), problem.test)


def _check_seeds(solver: Solver) -> None:
    """Checks what follows from a seed."""
    problem = solver.draw()
    first, second = (solver.run(solver.make(), problem, seed=3) for _ in range(2))
    solver.expect(first.alike(second), "gives another result with the same seed.", f"{_SEED} {_STATE}")
    if solver.make().seeds == 1:
        other = solver.scores(solver.fit(solver.make(), problem, first.search.choice, seed=4), problem.test)
        mend = "Declare how many seeds are run by default, or take no random number from it."
        solver.expect(close(first.scores, other), "has seeds=1, and its result depends on the seed.", mend)


def _check_test_inputs(solver: Solver) -> None:
    """Finds a protocol that has got hold of test inputs: others of them change what it learns."""

    def learned(test_seed: int) -> tuple[Search, Predictor]:
        problem = solver.draw(test_seed=test_seed)
        protocol = solver.make()
        search = solver.search(protocol, problem)
        return search, solver.fit(protocol, problem, search.choice)

    runs = []
    for test_seed in (1000, 2000):
        # Those of the first are gone by the second time, lest they are found in place of these.
        search, predictor = learned(test_seed)
        runs.append(Run(search, predictor, solver.scores(predictor, solver.draw(test_seed=3000).test)))
    solver.expect(
        runs[0].alike(runs[1]),
        ": its search or its training depends on test inputs.",
        "Learn from the arguments of search and fit, and from nothing else that can be found in the process.",
    )


def _check_calls(solver: Solver) -> None:
    """Finds what one use leaves behind for the next."""
    task, other_task = solver.draw(), solver.draw(seed=10)
    first, other = solver.run(solver.make(), task), solver.run(solver.make(), other_task)
    differ = not close(first.scores, other.scores)
    solver.expect(differ, "gives the same scores after training on other examples.", _STATE)
    again = solver.run(solver.make(), task)
    solver.expect(first.alike(again), ": an instance depends on what another was used for.", _STATE)
    protocol = solver.make()
    one, two = solver.run(protocol, task), solver.run(protocol, other_task)
    # With the choice of the first as well, because something may be kept for each choice.
    crossed, fresh = (
        solver.scores(solver.fit(instance, other_task, first.search.choice), task.test)
        for instance in (protocol, solver.make())
    )
    same = first.alike(one) and other.alike(two) and close(crossed, fresh)
    solver.expect(same, ": a second search and training depend on those before.", _STATE)
    same = close(one.scores, solver.scores(one.predictor, task.test))
    solver.expect(same, ": a predictor changes when another is trained.", "Each needs weights of its own.")


def _check_restoring(solver: Solver) -> None:
    """Checks the optional members that keep a trained predictor."""
    protocol: Any = solver.make()
    given = [name for name in ("state", "restore") if callable(getattr(protocol, name, None))]
    solver.expect(len(given) != 1, f"has {''.join(given)}() alone.", "Give both state() and restore(), or neither.")
    if not given:
        return
    problem = solver.draw()
    run = solver.run(protocol, problem)
    fresh: Any = solver.make()
    with working(f"{solver.what}: state() and restore()", "state gives tensors by name, and restore takes them."):
        state: Mapping[str, Tensor] = protocol.state(run.predictor)
        whole = all(value.is_contiguous() and value.device.type == "cpu" for value in state.values())
        kept = {name: value.clone() for name, value in state.items()}
        predictor = fresh.restore(problem.bench, kept, problem.num_classes)
    solver.expect(whole, ": its state cannot be saved.", "Give contiguous tensors on the CPU.")
    same = close(run.scores, solver.scores(predictor, problem.test))
    solver.expect(same, ": a restored predictor gives other scores.", "Put all that it needs into the state.")
