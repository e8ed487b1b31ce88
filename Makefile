# Everything a fresh clone needs: Python 3.11+ and make. `make run`, `make test`, `make check`.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,\
            $(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
SYNC := $(UV) pip sync --quiet --require-hashes --build-constraints build-constraints.txt --python $(BIN)/python
AUDIT := pip-audit@2.10.1
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
            --build-constraints build-constraints.txt --python-version 3.11

.DEFAULT_GOAL := help
.PHONY: help run test soak check format lock audit starter clean

help:
	@echo 'make run     start the bot and its page at http://127.0.0.1:8080 (PORT=9000 moves it)'
	@echo 'make test    the whole test suite'
	@echo 'make soak    the long tests: kills, 20,000 pictures, hostile files (an hour or more)'
	@echo 'make check   ruff and mypy'
	@echo 'make format  let ruff mend layout and imports'
	@echo 'make lock    resolve the dependencies anew into the lock files'
	@echo 'make audit   look the locked dependencies up among known vulnerabilities (asks a service on the net)'
	@echo 'make starter train the model that ships'

$(UV): requirements-uv.lock
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed; set PYTHON=/path/to/python3' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $(UV)

# The run set is part of the development set: either stamp will do for `make run`.
$(VENV)/.run: $(UV) requirements.lock build-constraints.txt
	@echo 'installing the dependencies into $(VENV) ...'
	@if test -f $(VENV)/.dev; then $(SYNC) requirements-dev.lock && touch $(VENV)/.dev; else $(SYNC) requirements.lock; fi
	@touch $@

$(VENV)/.dev: $(UV) requirements-dev.lock build-constraints.txt
	@echo 'installing the development dependencies into $(VENV) ...'
	@$(SYNC) requirements-dev.lock
	@touch $@ $(VENV)/.run

run: $(VENV)/.run
	@exec env $(if $(PORT),BOKE__WEB__PORT=$(PORT)) $(BIN)/python -m bot

# A file's tests stay in one process, so that what they share is made once. ARGS='-n 0 --pdb' looks into one of them.
test: $(VENV)/.dev
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile $(ARGS)

soak: $(VENV)/.dev
	@BOKE_SOAK=1 $(BIN)/python -m pytest -s -k 'hundred_moments or 20_000_pictures or many_of_each_format' \
	    tests/faults tests/training/test_retrain_faults.py $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy --no-error-summary && echo 'ruff and mypy: clean'

format: $(VENV)/.dev
	@$(BIN)/ruff format --quiet . ; $(BIN)/ruff check --fix --quiet .

lock: $(UV)
	$(COMPILE) requirements-uv.in -o requirements-uv.lock $(LOCKARGS)
	$(COMPILE) pyproject.toml --extra tools -o requirements.lock $(LOCKARGS)
	$(COMPILE) pyproject.toml --extra tools --extra dev --extra article --extra parquet -c requirements.lock -o requirements-dev.lock $(LOCKARGS)

# --strict: a dependency of which the service knows nothing is a failure, or a service that is away would look like good news.
audit: $(UV)
	@$(UV) tool run --quiet $(AUDIT) --strict --disable-pip --require-hashes --progress-spinner off -r requirements.lock || { \
	    echo 'audit: failed. Either vulnerable versions are listed above, or the service was not reached: then nothing was checked.' >&2; \
	    exit 1; }

starter: $(VENV)/.run
	@$(BIN)/python -m training.starter

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
