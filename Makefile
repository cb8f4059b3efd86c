# Two commands are enough on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: setup demo figures test test-instructions bench lint type ci format

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt CMakeLists.txt $(wildcard src/native/*)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[demo,dev]"
	touch $@

demo: $(INSTALLED)
	$(BIN)/voltween demo --out demo

figures: $(INSTALLED)
	PATH="$(CURDIR)/$(BIN):$$PATH" bash runs/figures.sh figures

test: $(INSTALLED)
	$(BIN)/python -m pytest

# Tests of native operations again with every other set of instructions of this processor.
test-instructions: $(INSTALLED)
	for set in $$($(BIN)/python -c "from voltween import _native; \
		print(*_native.instruction_sets()[1:])"); do \
		VOLTWEEN_INSTRUCTIONS=$$set $(BIN)/python -m pytest -m native || exit 1; \
	done

bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]"
	$(BIN)/voltween bench --out bench

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror src/native/*

type: $(INSTALLED)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i src/native/*

ci: lint type test test-instructions
