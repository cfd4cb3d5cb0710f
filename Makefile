# Two commands do everything: `make sweep` and `make test`. Each makes .venv from the lock first.
PYTHON ?= python3
VENV   ?= .venv
WORKDIR ?= runs/depth_stability
BIN     = $(VENV)/bin
STAMP   = $(VENV)/.installed

.PHONY: sweep test lint bench lock clean
sweep: $(STAMP)    ## train the default sweep and print its table
	$(BIN)/python -m experiments.launch --config=sweeps/depth_stability.py --workdir=$(WORKDIR)

test: $(STAMP)     ## everything that CI asserts
	$(BIN)/python -m pytest

lint: $(STAMP)     ## style, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

bench: $(STAMP)    ## speed beside a plain Flax loop
	$(BIN)/python -m benchmarks.throughput

$(STAMP): requirements.txt requirements-data.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "flax_tx needs Python 3.11 to 3.13: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@echo "making $(VENV) from the lock (some minutes, once)"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-data.txt
	@touch $@

lock:              ## compile the locks anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.txt requirements.in
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-deps -o requirements-data.txt requirements-data.in

clean:             ## remove what the commands made, except results
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache
