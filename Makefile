# Two commands do all the set-up on a fresh machine: make repro, make test. make demo takes minutes.
# `PYTHON=python3.12 make repro` picks the interpreter (3.11 to 3.13).
PYTHON ?= python3
VENV ?= .venv
# Not `abspath`, which takes a path with spaces apart.
VENV_PATH := $(if $(filter /%,$(VENV)),,$(CURDIR)/)$(VENV)
BIN := $(VENV_PATH)/bin
READY := $(VENV)/.ready
# A smaller environment of its own, for `make demo`.
DEMO := .venv-demo
DEMO_PATH := $(CURDIR)/$(DEMO)
RUN := PATH="$(BIN):$$PATH" PYTHONUNBUFFERED=1
TEST := $(RUN) python -m pytest -n 2 --dist loadfile
PIP := "$(BIN)/python" -m pip install --quiet --disable-pip-version-check
COMPILE := uv pip compile --universal --python-version 3.11 --no-header --no-annotate --generate-hashes
PYTHON_OK = "$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	{ echo "ERROR: Python 3.11 to 3.13 is needed, $(PYTHON) is $$("$(PYTHON)" --version 2>&1). Name one: PYTHON=python3.12 make $(MAKECMDGOALS)"; exit 1; }
# One whose making was interrupted may hold half of a package, which pip takes for whole.
VENV_MADE = { test ! -e "$(1)/.unfinished" || rm -rf "$(1)"; "$(PYTHON)" -m venv "$(1)" && touch "$(1)/.unfinished"; } || \
	{ echo "ERROR: $(PYTHON) can't make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
# As it was typed: neither make nor a shell computes anything in it.
export SETTINGS := $(value SET)
unexport SET
# The bundled digits are 942 small training images: smaller models, more epochs, no mirroring.
QUICK := data.name=digits data.shares.calibration=0.1 data.shares.tuning=0.1 data.shares.certification=0.1 distillation.mirror=false models.tiny.max_leaf_nodes=30 models.medium.n_estimators=20 models.medium.min_samples_leaf=2 models.medium.max_features=0.125 models.medium.pixels=whole models.slim.epochs=20 models.slim.batch_size=32 models.slim.mirror=false models.large.epochs=20 models.large.batch_size=32 models.large.mirror=false models.compact.epochs=12 models.compact.batch_size=32 models.compact.mirror=false models.compact.filters=[16,32] models.extra.epochs=12 models.extra.batch_size=32 models.extra.mirror=false models.extra.filters=[16,32] models.extra.strides=[1,2] energy.batch_sizes=[1,256] energy.budget_s=15.0 tuning.settings_per_chain=10000 certification.max_loss=5.0 certification.max_harm=5.0

.DEFAULT_GOAL := help
.PHONY: help env demo repro full test test-fast check plots figures experiment back experiments measure measurecheck quick bench fuzz docs lock clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

env: $(READY) ## Make the environment: the pinned requirements, and this project, editable

$(READY): requirements.txt pyproject.toml eco/report/plots_page.py
	@$(PYTHON_OK)
	@$(call VENV_MADE,$(VENV))
	$(PIP) --require-hashes -r requirements.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	"$(BIN)/python" -m eco.report.plots_page "$(VENV)/plots.html"
	@# With this page `dvc plots` works offline. The setting is local: the page isn't in git.
	"$(BIN)/dvc" config --local plots.html_template "$(VENV_PATH)/plots.html"
	@touch "$@" && rm "$(VENV)/.unfinished"

demo: $(DEMO)/.ready ## A cascade on a few images, its energy on this machine, and the page: 3 minutes
	@PATH="$(DEMO_PATH)/bin:$$PATH" eco demo

# Without TensorFlow and the tests: what `eco demo` needs, at the pinned versions.
$(DEMO)/.ready: requirements-demo.txt pyproject.toml
	@$(PYTHON_OK)
	@$(call VENV_MADE,$(DEMO))
	"$(DEMO_PATH)/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-demo.txt
	"$(DEMO_PATH)/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch "$@" && rm "$(DEMO)/.unfinished"

repro: env ## Run the study: data, training, energy of this machine, routers, tuning, certificates
	@$(RUN) python -m tools.repro

full: env ## The study, and every model in eight formats
	@$(RUN) python -m tools.repro --full

test: env ## The whole gate: lint, types, and all tests and examples in docstrings
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	@# On a busy machine tests get in each other's way: what failed beside others may pass alone.
	$(TEST) --doctest-modules tests eco || \
		{ test $$? = 1 && $(RUN) python -m pytest --last-failed --last-failed-no-failures none --doctest-modules tests eco; }

test-fast: env ## What one runs while editing: the tests that aren't slow
	$(TEST) -m "not slow"

check: env ## Lint, types, contracts of imports, examples in docstrings
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) python -m pytest --doctest-modules eco

plots: env ## Write all plots into one page that needs no network: dvc_plots/index.html
	$(RUN) dvc plots show

figures: env ## Write the pictures as PDF, for a paper, into figures/
	$(RUN) python -m eco.report.charts

experiment: env ## Try settings: make experiment SET='cascading.thresholds=[0.95,0.9,0.85,0.0]' (no spaces)
	@$(RUN) python -m tools.experiment

back: env ## Put settings and results back as committed, also after an experiment was killed
	$(RUN) python -m tools.back

experiments: env ## Table of the experiments
	$(RUN) dvc exp show --md --hide-workspace --sort-by cascading.energy_share --drop '.*' --keep 'cascading\.(accuracy$$|energy_share|thresholds|active_models)'

measure: env ## Measure the energies of the models in git here, then everything that follows: 15 minutes
	@$(RUN) python -m tools.repro --measure

measurecheck: env ## Repeat the energy protocol three times and compare the runs: about 12 minutes
	$(RUN) python -m tools.measure_check

quick: env ## The same study on the bundled digits, as an experiment beside the workspace
	$(RUN) dvc exp run --temp $(foreach setting,$(QUICK),-S '$(setting)')

bench: env ## Time the strategies' arithmetic and DVC's overhead
	$(RUN) python -m tools.benchmarks

fuzz: env ## Try 1,200 hostile settings, files, models, inputs and arguments: a few minutes
	$(RUN) python -m tools.fuzz

docs: env ## Put the results of metrics/ and the settings into docs/ and README.md
	$(RUN) python docs/build.py

lock: ## Resolve pyproject.toml into requirements.txt, and what the demo takes of it (needs uv)
	$(COMPILE) --upgrade --extra all --group test pyproject.toml -o requirements.txt
	echo 'setuptools>=77' | $(COMPILE) --constraint requirements.txt --extra onnx --extra energy --extra workflow --extra report pyproject.toml - -o requirements-demo.txt

clean: ## Remove the environment
	rm -rf "$(VENV)"
