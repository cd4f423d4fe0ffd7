"""`check_suite`: a suite, and that every task of it is there."""

from __future__ import annotations

from vtab_harness import registry
from vtab_harness.api.errors import VtabError
from vtab_harness.api.tasks import Suite
from vtab_harness.testing.clauses import expect


def check_suite(suite: Suite) -> None:
    """Checks a suite (a `Suite` checks the rest itself when it is made).

    - Every task is registered.
    - No two tasks have one title, so that a table can tell them apart.

    Args:
        suite: The suite.

    Raises:
        ContractError: A clause does not hold.

    Examples:
        >>> from vtab_harness.api.tasks import Suite
        >>> from vtab_harness.testing import check_suite
        >>> check_suite(Suite("shapes", "1", ("mini_location", "mini_orientation"), "two tasks on drawn shapes"))
    """
    expect(isinstance(suite, Suite), f"{suite!r} is no suite.", "Make it a vtab_harness.api.tasks.Suite.")
    what = f"The suite {suite.name!r}"
    titles: dict[str, str] = {}
    for name in suite.tasks:
        try:
            task = registry.tasks.get(name)
        except VtabError as error:
            expect(False, f"{what}: {error.message}", error.hint or "Register the task first.")
            continue
        other = titles.setdefault(task.title, name)
        expect(other == name, f"{what}: {other} and {name} are both called {task.title!r}.", "Give them two titles.")
