# What a contributor and CI call; every target makes its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test test-long lint bench servers clean

run: $(STAMP)
	@echo "A first mail, from another terminal:"
	@echo "    $(BIN)/rtmail receive --to support@example.com < docs/first.eml"
	@echo "Then: ls var/sent/new    $(BIN)/rtmail ticket show 1    $(BIN)/rtmail why 1"
	@exec $(BIN)/rtmail serve

$(STAMP): pyproject.toml
	@sh tools/venv.sh $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[postgres,systemd]" --group dev
	@touch $@

# Debian's servers that the tests start as ordinary processes; what cannot be had is named, and fails the run under CI=true.
servers:
	@sh tools/servers.sh

test: $(STAMP) servers
	$(BIN)/python -m pytest -q -m "not long"

test-long: $(STAMP) servers
	$(BIN)/python -m pytest -q -m long

lint: $(STAMP)
	$(BIN)/ruff check rtmail tests benchmarks
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_floors.py

bench: $(STAMP) servers
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf $(VENV) build dist
