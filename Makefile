# `make` lists the targets. Nothing needs to be installed first but Python 3.11+, make and npm.

PROFILE ?=
DEVICE ?= auto
ONLY ?=
RESULTS ?= compute
SCALE ?=
JOBS ?=
SINCE ?=
PROOF ?= tests/test_same_bits.py
PYTHON ?= python3

VENV := .venv
RUN := $(VENV)/bin/python
ASKED = --profile "$(PROFILE)" --device "$(DEVICE)" --only "$(ONLY)" --results "$(RESULTS)" --scale "$(SCALE)" --jobs "$(JOBS)"

.DEFAULT_GOAL := help
.PHONY: help setup data figures notebooks rekey report site test stress oldest lab bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  PROFILE=smoke|laptop|paper   how large (default: paper on a GPU, else laptop)'
	@echo '  DEVICE=auto|cpu|cuda         where'
	@echo '  ONLY=mosaic                  a source or a notebook (mosaic/averaging_noise), or several'
	@echo '  RESULTS=compute|published    compute, or draw again from the committed result tables'
	@echo '  SCALE="seeds=1 epochs=100"   override settings of the profile; the figures then say so'
	@echo '  JOBS=2                       worker processes (default: one per core)'
	@echo '  COMPANION_SCHEDULER=tcp://host:8786   the workers of a dask cluster instead (see README)'

setup: ## make .venv from requirements.lock (only when the lock has changed)
	@cmp -s requirements.lock $(VENV)/requirements.lock || $(MAKE) --no-print-directory $(VENV)/requirements.lock

# The lock is copied last: an interrupted installation is begun again.
$(VENV)/requirements.lock: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; $(PYTHON) is " + v + ". Name another with PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@mkdir -p $(VENV)/etc/dask && cp companion/dask.yaml $(VENV)/etc/dask/companion.yaml
	@cp requirements.lock $@

data: setup ## fetch MNIST and CIFAR-10 into the user cache and verify every byte
	@$(RUN) -m companion.data.download

figures: setup ## run every notebook that is out of date: figures, tables, records, report
	@$(RUN) -m companion.execution $(ASKED)

notebooks: setup ## bring every .ipynb in step with its .py, keeping the outputs of unchanged cells
	@$(RUN) -m companion.execution --bring-in-step --only "$(ONLY)"

rekey: setup ## keep results over a refactoring: SINCE=<commit> PROOF=<test that shows it changes none>
	@$(RUN) -m companion.execution $(ASKED) --rekey-since "$(SINCE)" --proof "$(PROOF)"

report: setup ## write figures/<profile>/REPORT.md and report.html, and the README's table, from the records
	@$(RUN) -m companion.report $(if $(PROFILE),--profile "$(PROFILE)")

site: setup data ## make build/site/html: the executed notebooks, findings and figures as static pages with sliders
	@$(RUN) -m companion.site
	@echo "open build/site/html/index.html"

test: setup data ## lint, pairs, unit tests, every notebook at smoke, nbval
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(RUN) -m companion.execution --check-pairs
	@$(RUN) -m pytest

stress: setup data ## kill, fill, damage and interrupt `make figures`, and see that nothing is lost (minutes)
	@$(RUN) -m pytest tests/stress

oldest: ## run the tests with the oldest versions of all packages that pyproject.toml promises (in build/oldest)
	$(PYTHON) -m venv build/oldest
	$(PYTHON) tests/oldest.py > build/oldest/pins.txt
	build/oldest/bin/pip install --quiet --disable-pip-version-check -r build/oldest/pins.txt
	build/oldest/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	build/oldest/bin/python -m pytest -m "not slow"

lab: setup ## open JupyterLab at the notebooks
	@$(VENV)/bin/jupyter lab --notebook-dir=notebooks

bench: setup data ## measure speeds as ratios (tests/benchmarks)
	@$(RUN) tests/benchmarks/training.py
	@$(RUN) -m pytest tests/benchmarks -s -p no:warnings

# CUDA's own packages exist for Linux only.
lock: ## write requirements.lock from what is installed in .venv (after a change to pyproject.toml)
	@$(RUN) -m pip freeze --exclude-editable | sed -E 's/^((nvidia|cuda|triton)[^ ]*)$$/\1 ; sys_platform == "linux"/' > requirements.lock.new
	@mv requirements.lock.new requirements.lock && cp requirements.lock $(VENV)/requirements.lock

clean: ## remove .venv and build (stored results too); figures and fetched data stay
	rm -rf $(VENV) build
