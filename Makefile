# What a contributor and CI call; every target makes its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Many tests wait for servers more than they compute, so one more than there are cores.
WORKERS := $(shell expr $$(nproc) + 1)

.PHONY: man deb run test test-long histories test-systemd lint bench demo fuzz torture servers clean

run: $(STAMP)
	@echo "A first mail, from a second terminal:"
	@echo
	@echo "    cd '$(CURDIR)'"
	@echo "    $(BIN)/rtmail receive --to support@example.com < docs/first.eml"
	@echo "    $(BIN)/rtmail ticket show 1"
	@echo "    $(BIN)/rtmail why 1"
	@echo "    cat var/sent/new/*"
	@echo
	@echo "The data and the mails that go out lie in var/. Ctrl-C stops the daemon."
	@exec $(BIN)/rtmail serve

$(STAMP): pyproject.toml
	@sh tools/venv.sh $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[postgres,dkim,web,oauth]" --group dev
	@touch $@

# Debian's servers that the tests start as ordinary processes; what cannot be had is named, and fails the run under CI=true.
servers:
	@sh tools/servers.sh

test: $(STAMP) servers
	$(BIN)/python -m pytest -q -m "not long" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# pytest ends with 5 when it finds no test to run.
test-long: $(STAMP)
	@sh tools/servers.sh long
	$(BIN)/python -m pytest -q -m long || [ $$? -eq 5 ]

# The long form of one promise: nothing internal goes out, whatever people quote, paste, attach and forward. About an hour.
histories: $(STAMP)
	RTMAIL_HISTORIES=100000 $(BIN)/python -m pytest -q -s -m long tests/test_internal_stays_internal.py

# A systemd that lives, in a container; its root is made once, in .cache.
test-systemd: $(STAMP) servers
	$(BIN)/python -m pytest -q tests/test_systemd_live.py

lint: $(STAMP)
	$(BIN)/ruff check rtmail tests benchmarks fuzz torture
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_floors.py

demo: $(STAMP)
	$(BIN)/rtmail demo

bench: $(STAMP)
	$(BIN)/python -m benchmarks.run

# Everything that can go wrong, done to the real daemon in random order: half an hour (TORTURE_MINUTES), goes on where it was interrupted.
torture: $(STAMP) servers
	$(BIN)/python -m torture

# Coverage-guided fuzzing of what strangers can send, 60 s each; what is found is kept below tests/fuzz and tried by make test.
fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --group fuzz
	$(BIN)/python -m fuzz

# rtmail(1) and rtmail.toml(5), from the commands and the commented config themselves.
man: $(STAMP)
	$(BIN)/python -m rtmail.cli.manual build/man

# A Debian package, for the Debian that it is made on: rtmail and its libraries in /usr/lib/rtmail, with user, unit, socket and pages.
deb:
	@sh tools/deb.sh

clean:
	rm -rf $(VENV) build dist
