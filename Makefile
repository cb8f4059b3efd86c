# Two commands are enough on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
NATIVE := voltween.ops._native

.PHONY: setup demo tutorials figures paper-small test test-napari fuzz kills test-instructions sanitize wheel bench docs lint type ci format

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt CMakeLists.txt $(wildcard src/native/*)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[demo,dev,docs]"
	$(BIN)/python -c "import $(NATIVE), voltween.spatial._native"  # and no fallback
	touch $@

# The demo needs less than the tests: without an environment that has everything, a small
# one is made, which `make test` completes.
DEMO := $(or $(wildcard $(INSTALLED)),.venv/demo)

.venv/demo: pyproject.toml constraints.txt CMakeLists.txt $(wildcard src/native/*)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[demo]"
	touch $@

demo: $(DEMO)
	$(BIN)/voltween demo --out demo

# Runs the notebooks of the documentation and keeps their outputs.
tutorials: $(INSTALLED)
	$(BIN)/python runs/tutorials.py

figures: $(INSTALLED)
	PATH="$(CURDIR)/$(BIN):$$PATH" bash runs/figures.sh figures

# The tables and figures of the paper on small stand-ins for its scans, in ten minutes on
# two cores.
paper-small: $(INSTALLED)
	PATH="$(CURDIR)/$(BIN):$$PATH" bash runs/paper_small.sh paper-small

# One thread per process: tests are small, and a second thread mostly waits.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --durations 50

# The tests of the napari plugin. napari and Qt are in an environment of their own, which
# takes all other packages from the first one. Without a display, that of Xvfb is used.
NAPARI := $(CURDIR)/build/napari
test-napari: $(INSTALLED)
	$(BIN)/python -m venv --without-pip $(NAPARI)
	$(BIN)/python -c "import sysconfig; folder = sysconfig.get_path('purelib'); \
		print(f'import site; site.addsitedir({folder!r})')" \
		> $$(echo $(NAPARI)/lib/python*/site-packages)/packages.pth
	$(BIN)/python -m pip --python $(NAPARI)/bin/python install --quiet \
		-c constraints.txt 'napari[pyqt6]' pytest-qt
	OMP_NUM_THREADS=1 $(NAPARI)/bin/python -m pytest tests/test_napari_plugin.py

# Kills register, train and compare 40 times at random moments, and runs them again.
kills: $(INSTALLED)
	VOLTWEEN_KILLS=40 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m kills

# The tests of native operations with every instruction set of this processor but the
# newest, which `make test` uses, and without the native operations.
test-instructions: $(INSTALLED)
	for set in $$($(BIN)/python -c "import $(NATIVE) as native; \
		print(*native.instruction_sets()[1:], 'none')"); do \
		VOLTWEEN_INSTRUCTIONS=$$set OMP_NUM_THREADS=2 $(BIN)/python -m pytest -m native || exit 1; \
	done

# Damaged files for every reader, and a table of what became of them. Another FIRST gives
# other files; with READER and SEED, one of them is read again.
COUNT ?= 5000
FIRST ?= 0
fuzz: $(INSTALLED)
	cd tests && $(CURDIR)/$(BIN)/python -m fuzz --count $(COUNT) --first $(FIRST) \
		$(if $(READER),--reader "$(READER)") $(if $(SEED),--seed $(SEED))

# The tests of native operations with a module that ends the process at the first memory
# error or undefined behavior (Linux, GCC). It is installed into an environment of its
# own, which takes all other packages from the first one.
SANITIZED := $(CURDIR)/build/sanitize
RUNTIMES = $(shell for name in asan ubsan stdc++; do \
	$(CXX) -print-file-name=lib$$name.so; done)
SANITIZED_PYTHON = LD_PRELOAD="$(RUNTIMES)" ASAN_OPTIONS=detect_leaks=0 \
	UBSAN_OPTIONS=print_stacktrace=1 $(SANITIZED)/venv/bin/python

sanitize: $(INSTALLED)
	$(BIN)/python -m venv --without-pip $(SANITIZED)/venv
	$(BIN)/python -c "import sys; \
		print(*(p for p in sys.path if p.endswith('site-packages')), sep='\n')" \
		> $$(echo $(SANITIZED)/venv/lib/python*/site-packages)/packages.pth
	$(BIN)/python -m pip --python $(SANITIZED)/venv/bin/python install --quiet \
		--force-reinstall --no-deps -C build-dir=$(SANITIZED)/cmake \
		-C cmake.build-type=RelWithDebInfo -C cmake.define.VOLTWEEN_SANITIZE=ON .
	for module in $(NATIVE) voltween.spatial._native; do \
		ldd $$($(SANITIZED_PYTHON) -c "import $$module as native; \
			print(native.__file__)") | grep libasan || exit 1; \
	done
	$(SANITIZED_PYTHON) -m pytest -m native --capture=sys  # shows the report of an error

# The wheel of this machine, into dist/, tried out without a compiler and network.
wheel:
	bash runs/wheel.sh dist $(PYTHON)

bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]"
	$(BIN)/voltween bench --out bench

# The documentation site, into site/. Warnings are errors.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff check --preview --select PLW1514 .  # files are opened with an encoding
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror src/native/*

type: $(INSTALLED)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i src/native/*

ci: lint type docs test test-instructions
