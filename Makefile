# Two commands do all the set-up on a fresh machine: make repro, make test.
# `PYTHON=python3.12 make repro` picks the interpreter (3.11 to 3.13).
PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
READY := $(VENV)/.ready
RUN := PATH="$(BIN):$$PATH" PYTHONUNBUFFERED=1
SET ?=
# The bundled digits are 942 small training images: smaller models, more epochs, no mirroring.
QUICK := data.name=digits data.shares.calibration=0.1 data.shares.tuning=0.1 data.shares.certification=0.1 distillation.mirror=false models.tiny.max_leaf_nodes=30 models.medium.n_estimators=20 models.medium.min_samples_leaf=2 models.medium.max_features=0.125 models.medium.pixels=whole models.slim.epochs=20 models.slim.batch_size=32 models.slim.mirror=false models.large.epochs=20 models.large.batch_size=32 models.large.mirror=false models.shallow.epochs=12 models.shallow.batch_size=32 models.shallow.mirror=false models.narrow.epochs=12 models.narrow.batch_size=32 models.narrow.mirror=false models.narrow.filters=[16,32] models.extra.epochs=12 models.extra.small_epochs=0 models.extra.batch_size=32 models.extra.mirror=false models.extra.filters=[16,32] models.extra.strides=[1,2] energy.batch_sizes=[1,256] energy.budget_s=15.0 tuning.settings_per_chain=10000 certification.max_harm=5.0

.DEFAULT_GOAL := help
.PHONY: help env repro test check plots experiment experiments measure measurecheck quick bench pool readme lock clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

env: $(READY) ## Make the environment in .venv from the pinned requirements

$(READY): requirements.txt eco/page.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "ERROR: Python 3.11 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1). Name one: PYTHON=python3.12 make $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "ERROR: $(PYTHON) can't make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m eco.page $(VENV)/plots.html
	@# With this page `dvc plots` works offline. The setting is local: the page isn't in git.
	$(BIN)/dvc config --local plots.html_template "$(abspath $(VENV))/plots.html"
	@touch $@

repro: env ## Run the whole study: data, training, energy, routers, tuning, certificates
	$(RUN) dvc repro

test: env ## Run all tests, in this environment
	$(RUN) python -m pytest -n 2 --dist loadfile

check: env ## Lint, types and the examples in docstrings
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) python -m pytest --doctest-modules eco

plots: env ## Write all plots into one page that needs no network: dvc_plots/index.html
	$(RUN) dvc plots show

experiment: env ## Try settings: make experiment SET='cascading.thresholds=[0.95,0.9,0.85,0.0]' (no spaces)
	$(foreach setting,$(SET),$(if $(findstring =,$(setting))$(filter ~%,$(setting)),,$(error SET must hold settings like key=value, without spaces inside a list; got '$(SET)')))
	@# Up to these stages nothing needs images or models, so a fresh clone can run them.
	$(RUN) dvc exp run --allow-missing $(foreach setting,$(SET),-S '$(setting)') evaluate_cascading compare footprint || { \
		$(RUN) python -m eco show > /dev/null && test ! -e data/train.npz && \
		echo "If a file of data/ is missing: this clone has no images, which settings of data, seed or models take: make repro. Back: git checkout HEAD -- params.yaml" >&2; exit 1; }

experiments: env ## Table of the experiments
	$(RUN) dvc exp show --md --hide-workspace --sort-by cascading.energy_share --drop '.*' --keep 'cascading\.(accuracy$$|energy_share|thresholds|active_models)'

measure: env ## Measure the energies anew, on purpose, then everything that follows from them
	$(RUN) dvc repro -f -s benchmark
	$(RUN) dvc repro
	$(RUN) dvc repro -f -s benchmark_router
	$(RUN) dvc repro

measurecheck: env ## Repeat the energy protocol three times and compare the runs: about 12 minutes
	$(RUN) python -m tests.measure_check

quick: env ## The same study on the bundled digits, as an experiment beside the workspace
	$(RUN) dvc exp run --temp $(foreach setting,$(QUICK),-S '$(setting)')

bench: env ## Time the strategies' arithmetic and DVC's overhead
	$(RUN) python -m tests.benchmarks

pool: env ## Write the lines of dvc.yaml that name each model, after a change of pool in params.yaml
	$(RUN) python -m eco.pipeline dvc.yaml

readme: env ## Put the results of metrics/ into README.md
	$(RUN) python -m eco.readme README.md

lock: ## Resolve pyproject.toml into requirements.txt (needs uv)
	uv pip compile --universal --python-version 3.11 --no-header --no-annotate --upgrade --group test pyproject.toml -o requirements.txt

clean: ## Remove the environment
	rm -rf $(VENV)
