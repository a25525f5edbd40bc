# On a machine with Python 3.11 and make:
#   make demo   sets up an environment and trains three tasks on generated scenes -> pixelnet-demo/report.html
#   make test   sets up an environment and runs every check
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint setup clean

demo: setup
	$(BIN)/pixelnet demo

test: lint
	$(BIN)/python -m pytest --cov=pixelnet --cov-fail-under=90 --durations=15

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test,bench]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .hypothesis .mypy_cache .ruff_cache .coverage
