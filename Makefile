# Two commands are enough on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

FIGURES := identity,ants-syn,elastix,model:brain

.PHONY: setup demo figures test test-instructions bench lint type ci format

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt CMakeLists.txt $(wildcard src/native/*)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[demo,dev]"
	touch $@

demo: $(INSTALLED)
	$(BIN)/voltween demo --out demo

# The paper's figures on the two individuals of the demo; not measured tools are left out.
figures: $(INSTALLED)
	$(BIN)/voltween demo --out figures/demo
	printf 'case,image,labels,points,split\nfixed,fixed.nii.gz,fixed_labels.nii.gz,fixed_landmarks.csv,val\nmoving,moving.nii.gz,moving_labels.nii.gz,moving_landmarks.csv,val\n' > figures/demo/cases.csv
	$(BIN)/voltween compare figures/demo/cases.csv --methods $(FIGURES) --max-pairs 1 \
		--keep-transforms --out figures/compared
	for kind in sections landmarks jacobian; do \
		$(BIN)/voltween figures $$kind figures/compared figures/demo/cases.csv \
			--out figures/$$kind.png || exit 1; \
	done
	$(BIN)/voltween figures tweening figures/demo/fixed.nii.gz \
		figures/demo/moving.nii.gz --model brain --out figures/tweening.png

test: $(INSTALLED)
	$(BIN)/python -m pytest

# The tests again with every other set of instructions that this processor has.
test-instructions: $(INSTALLED)
	for set in $$($(BIN)/python -c "from voltween import _native; \
		print(*_native.instruction_sets()[1:])"); do \
		VOLTWEEN_INSTRUCTIONS=$$set $(BIN)/python -m pytest || exit 1; \
	done

bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]"
	$(BIN)/voltween bench --out bench

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(INSTALLED)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ci: lint type test test-instructions
