"""``python -m vtab_harness`` is ``vtab``."""

from vtab_harness.cli.main import main

if __name__ == "__main__":
    main()
