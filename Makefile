# Thin: each target is what a person could type.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo demo-real test check check-static benchmark clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

demo: .venv/ready
	$(BIN)/sourdine demo

demo-real: .venv/ready
	$(BIN)/sourdine demo --real

test: .venv/ready
	$(BIN)/pytest -n 2 --dist worksteal

check: check-static test

check-static: .venv/ready
	$(BIN)/python tools/check.py

benchmark: .venv/ready
	$(BIN)/python benchmarks/ears.py

clean:
	rm -rf build .pytest_cache .ruff_cache
