"""What `import vtab_harness` offers, and that none of it is loaded at import."""

import subprocess
import sys

import pytest

import vtab_harness


def test_import_is_light() -> None:
    code = (
        "import sys, vtab_harness\n"
        "dir(vtab_harness), vtab_harness.Transform, vtab_harness.register\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules and 'numpy' not in sys.modules\n"
        "vtab_harness.ImageFolder, vtab_harness.Results\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        _ = vtab_harness.evalute
