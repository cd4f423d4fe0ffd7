"""The example workflow gives commands that exist."""

import shlex
from pathlib import Path

import typer
import yaml

import leaderboards.cli.gate  # noqa: F401  (both register themselves)
import vtab_harness.cli.run  # noqa: F401
from vtab_harness.cli.app import app

WORKFLOW = Path(__file__).parents[3] / "docs" / "examples" / "github-actions.yml"


def test_every_command_and_option_of_the_workflow_exists() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    # YAML 1.1 reads the key `on` as true.
    assert set(workflow[True]) == {"push", "workflow_dispatch"}
    given = [shlex.split(step.get("run", "")) for step in workflow["jobs"]["gate"]["steps"]]
    commands = [words[1:] for words in given if words[:1] == ["vtab"]]
    assert [words[0] for words in commands] == ["run", "gate", "gate"]
    known = typer.main.get_command(app)
    for name, *words in commands:
        # Parses without running; an unknown option or a missing argument raises.
        context = known.commands[name].make_context(name, words)  # type: ignore[attr-defined]
        assert context.params["results"]


def test_the_speed_job_has_the_history_and_a_target_that_exists() -> None:
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["speed"]["steps"]
    assert steps[0]["with"]["fetch-depth"] == 0
    (words,) = [step["run"].split() for step in steps if "run" in step]
    assert words[0] == "make"
    assert len(words) == 2
    assert f"\n{words[1]}: " in (WORKFLOW.parents[2] / "Makefile").read_text()
