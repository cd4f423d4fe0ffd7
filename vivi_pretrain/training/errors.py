"""How a run can end before its last step."""

from __future__ import annotations

from vtab_harness.api.errors import VtabError


class Preempted(VtabError):  # noqa: N818 - not a mistake of anybody's
    """The run was told to stop (SIGTERM); its state is saved, and the same command goes on."""

    # EX_TEMPFAIL: schedulers that requeue by exit code can tell it from a failure.
    exit_code = 75


class DivergedError(VtabError):
    """A loss became infinite or not a number."""

    exit_code = 3


class RankFailedError(VtabError):
    """Another process of the same run died."""

    exit_code = 4
