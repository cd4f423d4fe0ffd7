from collections.abc import Iterator

from vtab_harness.formats.reorder import Found, in_wanted_order

WANTED = {"b": [3, 0, 2], "a": [1]}
ORDER = [("b", 3), ("b", 0), ("b", 2), ("a", 1)]


def arriving(targets: list[tuple[str, int]], taken: list[tuple[str, int]]) -> Iterator[Found]:
    for target in targets:
        taken.append(target)
        yield Found(target, b"x" * 100, str(target))


def test_files_come_in_the_wanted_order() -> None:
    for turned in range(4):
        found = in_wanted_order(arriving(ORDER[turned:] + ORDER[:turned], []), WANTED)
        assert [file.target for file in found] == ORDER


def test_wanted_files_of_other_archives_are_passed_over() -> None:
    assert [file.target for file in in_wanted_order(arriving([("b", 2), ("b", 3)], []), WANTED)] == [("b", 3), ("b", 2)]


def test_too_many_files_come_as_they_are() -> None:
    coming, taken = [("a", number) for number in range(20)], []
    for number, file in enumerate(in_wanted_order(arriving(coming, taken), {"a": range(19, -1, -1)}, 250)):
        assert file.target == coming[number]
        assert len(taken) <= max(3, number + 1)
