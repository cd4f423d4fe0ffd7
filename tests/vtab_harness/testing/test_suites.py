"""Suites that keep their contract, and some that do not."""

from dataclasses import replace

import pytest

from vtab_harness import registry
from vtab_harness.api.tasks import Suite
from vtab_harness.testing import ContractError, check_suite


@pytest.mark.parametrize("name", ["mini", "vtab-1k"])
def test_ours_keep_it(name: str) -> None:
    check_suite(registry.suites.get(name))


def test_a_task_that_is_nowhere_is_named() -> None:
    with pytest.raises(ContractError, match=r"'wrong': Unknown task 'mini_digit'(.|\n)*mini_digits"):
        check_suite(Suite("wrong", "1", ("mini_digit",), "one that is not there"))


def test_tasks_that_a_table_cannot_tell_apart() -> None:
    digits = registry.tasks.get("mini_digits")
    suite = Suite("wrong", "1", ("mini_digits", "more_digits"), "twice the same title")
    twin = replace(digits, name="more_digits")
    with registry.tasks.registered("more_digits", twin), pytest.raises(ContractError, match="both called"):
        check_suite(suite)


def test_what_is_no_suite() -> None:
    with pytest.raises(ContractError, match="is no suite"):
        check_suite(("mini_digits",))  # type: ignore[arg-type]
