# Every target sets up what it needs first. See README.md, "Develop".

PYTHON := .venv/bin/python
JOBS = $(shell getconf _NPROCESSORS_ONLN)
# One process more than there are cores: many tests wait for a server, a terminal or a device.
PYTEST = $(PYTHON) -m pytest --durations=10 --numprocesses $(shell expr $(JOBS) + 1) --dist worksteal

.DEFAULT_GOAL := help

# Container images often set this. The suite starts hundreds of Python programs, and each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.NOTPARALLEL:
.PHONY: help setup demo test check lint types wheel prove soak snapshots picture lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup:  ## make .venv; nothing outside this folder changes
	@scripts/setup.sh env

demo:  ## install what is missing, then replay a recording through the embedded model as if it were live
	@scripts/setup.sh demo
	@.venv/bin/livecap demo

test:  ## install what is missing, then run lint, types, the wheel check and the whole suite
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory check wheel
	$(PYTEST)

check: lint types  ## lint and types

lint: setup  ## ruff: format and rules
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

types: setup  ## mypy, strict
	$(PYTHON) -m mypy

wheel: setup  ## build the wheel and try it in an empty environment
	@$(PYTHON) scripts/check_wheel.py

prove:  ## run the suite with full counts, and store the figures of the benchmarks in docs/benchmarks/
	@scripts/setup.sh test
	LIVECAP_PROVE=1 $(PYTEST)
	$(PYTHON) -m benchmarks.oracle_counts --jobs $(JOBS) --out docs/benchmarks/oracle.json
	.venv/bin/livecap eval recordings/*.flac --mode default --chunk 0.5 --chunk 2 --step-cost 0.1 \
		--require "wer_gap.stable.gap <= 0.02" --out docs/benchmarks/recordings.json
	$(PYTHON) -m benchmarks.word_times recordings/*.flac --out docs/benchmarks/word_times.json
	$(PYTHON) -m benchmarks.speed --model tiny --out docs/benchmarks/speed.json
	$(PYTHON) -m benchmarks.archive --out docs/benchmarks/archive.json
	$(PYTHON) -m benchmarks.serve recordings/dictation.flac --out docs/benchmarks/serve.json

soak:  ## run a live session on a virtual microphone for MINUTES (1) and check for lost sound and growth (Linux)
	@scripts/setup.sh test
	$(PYTHON) scripts/soak.py --minutes $(or $(MINUTES),1)

snapshots: setup  ## draw the reference pictures of every screen again
	LIVECAP_SNAPSHOTS=write $(PYTEST) tests/tui/test_pictures.py

picture:  ## draw docs/screen.png from the real screen
	@scripts/setup.sh picture
	$(PYTHON) scripts/picture.py docs/screen.png

lock: setup  ## choose the newest versions that pyproject.toml allows
	scripts/lock.sh --upgrade

clean:  ## remove .venv, caches and build output
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
