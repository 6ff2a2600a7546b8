# One command for each job. Everything goes into .venv; nothing is installed outside the repository.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/.core ## Run the team on the penguins that the repository ships: no key, no Docker, no network
	$(BIN)/mlteam run evals/data/penguins.csv --target Sex --time 45s --sandbox auto

.PHONY: install
install: $(VENV)/.all ## Make .venv with everything that the project can use

.PHONY: test
test: $(VENV)/.all ## Run the tests, offline
	$(BIN)/pytest -n auto --dist worksteal

.PHONY: coverage
coverage: $(VENV)/.all ## Run the tests and show what they cover, which takes half as long again
	$(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered

.PHONY: lint
lint: $(VENV)/.all ## Check style, types and the arrows between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.all ## Put the code into its standard format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: escape
escape: $(VENV)/.all ## Run hostile cells in every kind of sandbox and write what stopped them to docs/escape.md
	mkdir -p build && rm -f build/escape.jsonl
	@# The careless hosts of the controls leave half-read folders, which Python tells of when it ends.
	ESCAPE_RECORD=build/escape.jsonl $(BIN)/pytest -m escape -W ignore::pytest.PytestUnraisableExceptionWarning tests/escape; ended=$$?; \
	$(BIN)/python -m evals.escape_table build/escape.jsonl docs/escape.md; exit $$ended

.PHONY: daemon
daemon: $(VENV)/.all ## Kill a Docker daemon under runs (one of its own, beside the machine's; takes root)
	$(BIN)/pytest -m daemon tests/daemon

.PHONY: notebooks
notebooks: $(VENV)/.all ## Execute the example notebooks and a paused run in real kernels, and open JupyterLab where it and Chromium are there
	$(BIN)/pytest -m notebook tests/notebook

.PHONY: poisoned
poisoned: $(VENV)/.all ## Let a model obey each of thirty poisoned tables in a run of its own, and look for what came of it
	$(BIN)/pytest -n auto -m "slow or poisoned" tests/team/test_obeying.py

.PHONY: observe
observe: $(VENV)/.all build/phoenix/.made ## Send a run to an Arize Phoenix of its own (below build/), find it there, and open its page in Chromium
	PHOENIX_BIN=$(CURDIR)/build/phoenix/bin/phoenix $(BIN)/pytest -m phoenix tests/observe

BASE ?=
.PHONY: image
image: $(VENV)/.all ## Make the image of the Docker sandbox (BASE=mlteam-base:debian12: on that image, by wheels that this machine fetches)
	$(BIN)/mlteam sandbox build $(if $(BASE),--offline --base $(BASE))

.PHONY: recording
recording: $(VENV)/.all ## Record a session of mlteam chat as text into docs/chat.md
	$(BIN)/python -m evals.chat_recording

.PHONY: bench
bench: $(VENV)/.all ## Measure what the framework costs beside models and tools, and how long requests to models get
	$(BIN)/python -m evals.framework_cost
	$(BIN)/python -m evals.briefing_size

.PHONY: bench-sandbox
bench-sandbox: $(VENV)/.bench ## Measure the sandboxes beside AutoGen's executors, and what each does when something goes wrong
	$(BIN)/python -m evals.sandbox_bench --markdown docs/sandbox.md

CONTESTANTS ?= mlteam simple autogluon_best autogluon_medium flaml mljar catboost lightgbm
SECONDS ?= 60
SEEDS ?= 0
SPLITS ?= 0
PARTS ?=
TABLES ?=
.PHONY: bench-quality
bench-quality: $(VENV)/.all ## Models of this team beside AutoML libraries on real tables, in the same time (CONTESTANTS="mlteam catboost" TABLES="titanic ames" SECONDS=240 SEEDS="0 1" SPLITS="0 1")
	$(BIN)/python -m evals.quality --contestants $(CONTESTANTS) --seconds $(SECONDS) --seeds $(SEEDS) --splits $(SPLITS) $(if $(TABLES),--tables $(TABLES))

.PHONY: bench-ablation
bench-ablation: $(VENV)/.all ## What each part of the engine is worth, by runs without it (PARTS="ensemble mlp" TABLES="titanic ames" SECONDS=20 SEEDS="0 1")
	$(BIN)/python -m evals.ablation --seconds $(SECONDS) --seeds $(SEEDS) $(if $(PARTS),--parts $(PARTS)) $(if $(TABLES),--tables $(TABLES))

SIZES ?= 10MB 100MB 1GB
REPEATS ?= 1
.PHONY: bench-data
bench-data: $(VENV)/.bench ## Convert generated CSV of 10 MB to 1 GB to Parquet, ours beside pandas, Polars and DuckDB, and write docs/data.md (SIZES=10GB)
	$(BIN)/python -m evals.data_bench --sizes $(SIZES) --repeats $(REPEATS) --record docs/data.md

RUN ?= last
SERVED_IN ?= unsafe-local
.PHONY: bench-serving
bench-serving: $(VENV)/.all ## Milliseconds of a row from a served package on one core (RUN=last SERVED_IN=bubblewrap)
	$(BIN)/python -m evals.serving_bench $(RUN) --sandbox $(SERVED_IN)

.PHONY: bench-personal
bench-personal: $(VENV)/.all ## Personal data found and missed in generated columns whose truth is known, and the time that takes
	$(BIN)/python -m evals.personal_bench

.PHONY: bench-engines
bench-engines: $(VENV)/.all ## How much sooner two worker processes are done than one, here and through Dask, on two idle cores
	$(BIN)/python -m evals.engines_bench

PHOENIX ?= arize-phoenix==20.26.1
KILLS ?= 100
SANDBOX ?= docker bubblewrap
.PHONY: chaos
chaos: $(VENV)/.all ## Kill runs at 100 moments in each sandbox, resume them, and check that nothing is lost (KILLS=10 SANDBOX=bubblewrap)
	$(BIN)/python -m evals.chaos --kills $(KILLS) --sandbox $(SANDBOX) $(if $(filter 100,$(KILLS)),--record docs/reliability.md)

.PHONY: showcase
showcase: $(VENV)/.all ## Run the datasets that scikit-learn bundles and print a table of the results
	$(BIN)/python -m evals.showcase

COMPILE = build/pins/bin/uv pip compile --quiet --upgrade --no-build --no-annotate --custom-compile-command 'make pins' \
	--constraint constraints.txt --python-version 3.11 --python-platform x86_64-manylinux_2_28

.PHONY: pins
pins: ## Settle the pinned set anew (a maintainer's job: needs the network)
	rm -rf build/pins && $(PYTHON) -m venv build/pins
	build/pins/bin/pip install --quiet '.[all,foundation,dev,bench]'
	build/pins/bin/pip freeze --exclude mlteam | sed 's/+cpu$$//' | LC_ALL=C sort -f > constraints.txt
	build/pins/bin/pip install --quiet uv
	$(COMPILE) --generate-hashes --no-emit-package debugpy --no-emit-package dnspython sandbox_image/requirements.in -o sandbox_image/requirements.lock
	$(COMPILE) --no-deps sandbox_image/requirements-torch.in -o sandbox_image/requirements-torch.lock

.PHONY: clean
clean: ## Remove .venv and everything that tools left
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .coverage htmlcov

# A server with many dependencies, some of them older or newer than ours: it gets an environment of its own, and is only ever spoken to.
build/phoenix/.made: Makefile
	rm -rf build/phoenix && $(PYTHON) -m venv build/phoenix
	build/phoenix/bin/pip install --quiet uv
	build/phoenix/bin/uv pip install --quiet --python build/phoenix/bin/python '$(PHOENIX)'
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The stamps make a second call quick: they are older than what they depend on only when that has changed.
$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.all: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[all,foundation,dev]'
	touch $(VENV)/.core $@

$(VENV)/.bench: $(VENV)/.core
	$(PIP) install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@
