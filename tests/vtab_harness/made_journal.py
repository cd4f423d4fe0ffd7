"""Lines of journals, for tests of what reads them."""

from vtab_harness.sweep.journal import Began, JobEnded


def began(**more: object) -> Began:
    """Returns the first line of a journal."""
    plain = {
        "command": "vtab run",
        "retry": ("vtab", "run"),
        "folder": "/",
        "host": "here",
        "pid": 1,
        "executor": "local",
        "began": "2026-01-01T00:00:00+00:00",
        "cells": 3,
        "finished": 0,
        "missing": 3,
        "work": 30.0,
        "in_seconds": True,
    }
    return Began(**{**plain, **more})  # type: ignore[arg-type]


def ended(backbone: str = "b", state: str = "done", **more: object) -> JobEnded:
    """Returns the line of a job that ended after a second."""
    return JobEnded(backbone, ("t",), state, 1.0, 10.0, **more)  # type: ignore[arg-type]
