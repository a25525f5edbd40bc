# On a machine with Python 3.11 and make:
#   make demo   sets up an environment and shows what the package does, in three minutes -> pixelnet-demo/report.html
#   make test   sets up an environment and runs every check
#   make coverage  runs the tests and counts the lines that they reach
#   make docs   sets up an environment and builds the documentation's site -> site/index.html
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test coverage lint docs setup clean

demo: $(VENV)/ready-demo
	$(BIN)/pixelnet demo

test: lint
	$(BIN)/python -m pytest -n auto --dist loadfile --durations=15

# Counting lines takes half of the time again, which is why `test` does not.
coverage: setup
	$(BIN)/python -m pytest -n auto --dist loadfile --cov=pixelnet --cov-fail-under=90

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

setup: $(VENV)/ready

$(VENV)/ready: $(VENV)/ready-demo
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test,bench,docs]'
	touch $@

$(VENV)/ready-demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

clean:
	rm -rf $(VENV) site .pytest_cache .hypothesis .mypy_cache .ruff_cache .coverage
