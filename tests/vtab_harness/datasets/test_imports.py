"""What the image sets import: declarations nothing heavy, and a run no reader but its own."""

import subprocess
import sys
from pathlib import Path

from small_folder import write

from vtab_harness.builtin import NAMES


def test_declarations_import_neither_numpy_nor_torch_nor_a_reader() -> None:
    modules = sorted({target.split(":")[0] for kind in ("tasks", "suites") for target in NAMES[kind].values()})
    assert len(modules) >= 16 + 7 + 2
    code = (
        f"import sys, {', '.join(modules)};"
        "readers = [name for name in sys.modules if name.endswith(('.reader', '.drawing'))];"
        "sys.exit(' '.join([*readers, *({'numpy', 'torch', 'sklearn', 'PIL'} & set(sys.modules))]) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_imports_the_reader_of_its_image_set_only(tmp_path: Path, small_backbone: str) -> None:
    # The community's folder, because the archive cannot be small; it is opened where the reader finds no archive.
    write(tmp_path / "data" / "caltech101", lambda split, position: position % 102)
    names = ["--backbone", small_backbone, "--task", "caltech101", "--protocol", "knn"]
    folders = [f"--{name}={tmp_path / name}" for name in ("data", "results", "cache")]
    code = (
        "import atexit, runpy, sys;"
        "atexit.register(lambda: print('modules:', *sys.modules));"
        "runpy.run_module('vtab_harness', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code, "run", *names, *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modules = done.stdout.rpartition("modules:")[2].split()
    assert not {"tensorflow_datasets", "tensorflow", "h5py"} & set(modules)
    of_sets = {name.removeprefix("vtab_harness.datasets") for name in modules if "vtab_harness.datasets" in name}
    assert of_sets == {"", ".caltech101", ".caltech101.reader", ".caltech101.splits"}
