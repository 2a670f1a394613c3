# make demo          the whole service against a mail server of its own, with invented vendors (Ctrl-C ends it)
# make demo ONCE=1   one pass, then exit 0
# make test          lint, types, import direction and all tests
# make bench         the whole pipeline measured against this machine's limits; N="100 1000" for fewer mails
# make bench-pages   the staff pages over 60,000 tickets on SQLite and PostgreSQL; TICKETS=6000 for fewer
# make soak          half an hour of steady mail, and whether the service stays as it was; MINUTES=3 RATE=10 CALM=1
# make faults        the long fault run: over 200 kills, about 11 minutes; prints the table of docs/reliability.md
# make screenshots   the pictures of docs/, taken from the demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
TESTS ?= tests
WORKERS ?= 3

# Where it is set, every command that a target starts would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: soak demo test lint format fuzz faults screenshots bench clean

demo: $(STAMP)
	$(BIN)/responder demo $(if $(ONCE),--once) $(if $(MAILS),--mails $(MAILS))

test: lint
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(TESTS)

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: $(DEV_STAMP)
	RESPONDER_FUZZ=long $(BIN)/python -m pytest tests/unit -k fuzz --timeout 3600
	RESPONDER_FUZZ=long $(BIN)/python -m pytest tests/web/test_api_contract.py

faults: $(DEV_STAMP)
	RESPONDER_FAULTS=long $(BIN)/python -m pytest tests/scenarios/test_killed_anywhere.py \
		tests/scenarios/test_service_outlives_its_surroundings.py

screenshots: $(DEV_STAMP)
	$(BIN)/python -m tests.browser.screenshots

bench: $(DEV_STAMP)
	PYTHONPATH=. $(BIN)/python bench/pipeline.py $(if $(JSON),--json $(JSON)) $(N)

bench-pages: $(DEV_STAMP)
	PYTHONPATH=. $(BIN)/python -m bench.pages $(if $(TICKETS),--tickets $(TICKETS)) $(if $(JSON),--json $(JSON))

soak: $(DEV_STAMP)
	PYTHONPATH=. $(BIN)/python -m bench.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE)) \
		$(if $(CALM),--calm) $(if $(JSON),--json $(JSON))

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[demo]'
	@touch $@

$(DEV_STAMP): $(STAMP)
	$(INSTALL) '.[demo,dev,plots,postgresql]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist build
