"""What is said of a choice that hangs on little."""

from vtab_harness.api.protocols import Trial
from vtab_harness.sweep.choices import edges, in_words, lead


def trials(*accuracies: float | None) -> list[Trial]:
    return [
        Trial({"l2": 10.0**-i, "norm": "yes"}, "diverged" if a is None else "finished", a)
        for i, a in enumerate(accuracies)
    ]


def test_an_edge_is_named_and_a_middle_is_not() -> None:
    (edge,) = edges(trials(0.5, 0.6, 0.7), 2)
    assert edge.in_words() == "l2=0.01 is the smallest of 3 values"
    assert edges(trials(0.9, 0.6, 0.7), 0)[0].which == "largest"
    assert edges(trials(0.5, 0.8, 0.7), 1) == ()
    assert edges(trials(0.5, 0.8), 1) == (), "a grid of two has no middle"
    assert edges(trials(None, None), None) == ()


def test_the_lead_is_counted_in_examples() -> None:
    assert lead(trials(0.5, 0.505, 0.4), 1, 200) == 1
    assert lead(trials(0.5, 0.5, 0.4), 1, 200) == 0
    assert lead(trials(0.5, 0.6, None), 1, 200) == 20
    assert lead(trials(0.5), 0, 200) is None
    assert lead(trials(0.5, None), 0, 200) is None


def test_only_what_hangs_on_little_is_said() -> None:
    assert in_words(trials(0.5, 0.6, 0.5), 1, 200) == []
    assert in_words(trials(0.5, 0.505, 0.4), 1, 200) == [
        "The choice was decided by one validation example (of 200 examples)."
    ]
    level, edge = in_words(trials(0.5, 0.5, 0.4), 0, 200)[::-1]
    assert "loss alone, at equal accuracy" in level
    assert "l2=1 is the largest of 3 values" in edge
