"""The tutorial runs from its first cell to its last, and shows what it shows in the documentation.

``python tests/docs/test_tutorial.py`` writes the outputs anew, after a change to the notebook.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"


def executed(cache: Path) -> Any:
    """Returns the notebook with outputs: without warnings and bars, and without the paths of this machine."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    before = dict(os.environ)
    # The commands of the environment that the tests run in; no Hub.
    os.environ |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{before['PATH']}", "XDG_CACHE_HOME": str(cache)}
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"}
    try:
        NotebookClient(
            notebook, timeout=300, kernel_name="python3", record_timing=False, coalesce_streams=True
        ).execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                output.pop("execution_count", None)
                if output.output_type == "execute_result":
                    output.execution_count = None
    return notebook


def kinds(notebook: Any) -> list[list[tuple[str, ...]]]:
    """Returns what each cell of code shows: text, table, picture."""
    return [
        [(output.output_type, *sorted(output.get("data", ()))) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_it_runs_and_shows_what_the_documentation_shows(cache: Path) -> None:
    found, shown = executed(cache), nbformat.read(NOTEBOOK, as_version=4)
    assert [cell.source for cell in found.cells if cell.source.startswith("## 1")][-1].startswith("## 10. ")
    assert kinds(found) == kinds(shown)
    texts = [output.get("text", "") for cell in found.cells for output in cell.get("outputs", ())]
    assert not [text for text in texts if "error" in text.lower()]
    assert any("exit code 0" in text for text in texts)


def test_it_is_small_and_of_no_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 150_000
    assert not [word for word in ("/home", "/root", "/Users", "/work", "stderr") if word in text]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(executed(Path(folder)), NOTEBOOK)
