# Two commands do all the set-up: `make demo` and `make test`. Both make their own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-results

.PHONY: demo test slow boards bench promises docs clean
.DELETE_ON_ERROR:

# A stamp for each set of dependencies, so that `make demo` does not wait for the test tools.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[vivi]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

# The main job on the embedded suite: three backbones x ten tasks, no download. Then pretraining on drawn videos, and what
# it gains.
demo: $(VENV)/installed
	$(BIN)/vtab study run docs/demo.toml --results $(DEMO)/results --cache $(DEMO)/cache
	$(BIN)/vtab study run docs/examples/vivi_demo.toml --out $(DEMO)/vivi --cache $(DEMO)/cache
	@echo "The board of the first part has a page: open $(DEMO)/leaderboard/index.html in a browser."

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto --dist loadfile

slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m 'slow or gpu or shared or browser'

# Tables, plots and pages of the committed boards, again from their records; studies add what is missing (vtab study run).
boards: $(VENV)/installed
	for study in leaderboards/boards/*/study.toml; do $(BIN)/vtab study report $$study || exit 1; done

# Is the checkout slower than BASE (default: where the branch left main)? Both are measured by turns; ratios only.
bench: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/compare_revisions.py $(if $(BASE),--base $(BASE))

# The ratios of docs/speed.md, each against a bare loop or another library.
promises: $(VENV)/installed-dev
	OMP_NUM_THREADS=$$(nproc) $(BIN)/python -m pytest -m benchmark_suite -s tests/benchmarks

# The pages of docs/ with a reference made from the docstrings; site/index.html.
docs: $(VENV)/installed-dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(DEMO) site .mypy_cache .ruff_cache .pytest_cache
