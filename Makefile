# Two commands: `make run` and `make test`. Each makes its environment first if it is not there.
#
#   make run                                    the whole pipeline with the default configuration
#   make run CONFIG=configs/smoke.py WORKDIR=runs/smoke
#   make run ARGS='--stage=report --dry_run'    further flags of python -m pipeline.run
#   make run EXTRAS=gpu                         with TensorFlow's CUDA packages
#   make test                                   lint, types and the quick tests, in two processes: at most ten minutes on two cores
#   make test-all                               everything there is: slow tests, those that need a registry, tutorial, faults, wheel, playground
#   make demo                                   one purifier from nothing in one to three minutes: a first picture
#   make notebook                               executes docs/tutorial.ipynb, about two minutes; runs/tutorial.ipynb has its outputs
#   make test-wheel                             the wheel in a clean environment: minutes, and a gigabyte to fetch
#   make docs                                   the site, in site/; a broken link is an error
#   make tables                                 every table of results in README and docs/, from the results
#   make playground                             attack and purify digits in the browser, from a run's exports
#   make test-playground                        its tests, in headless Chromium where there is one
#   make test-faults                            kills, full disks, damages, ...: at most 20 minutes; FAULTS=short: five
#   make bench                                  speed against other libraries, in an environment of their own
#   make lock                                   write constraints.txt and requirements.lock anew from setup.py's ranges
#   make clean                                  remove the environment and caches; runs/ stays

CONFIG ?= configs/quick.py
WORKDIR ?= runs/quick
ARGS ?=
# Stages at a time. Two share the cores better than one uses them; a GPU's memory is not shared.
JOBS ?= $(if $(wildcard /dev/nvidia0),1,2)
# A pytest marker expression: which tests `make test` runs.
TESTS ?= not slow and not network
FAULTS ?= long
FAULT_RESULTS ?= runs/faults/results-$(FAULTS).json
EXTRAS ?= cpu
VENV ?= .venv
# Any Python from 3.11 to 3.13; empty: the first one found.
PYTHON ?=

BIN := $(VENV)/bin
CREATED := $(VENV)/.created
INSTALLED_RUN := $(VENV)/.installed-run-$(EXTRAS)
INSTALLED_TEST := $(VENV)/.installed-test-$(EXTRAS)
INSTALLED_DOCS := $(VENV)/.installed-docs-$(EXTRAS)
INSTALLED_PLAYGROUND := $(VENV)/.installed-playground-$(EXTRAS)
PEERS := .venv-peers
INSTALLED_PEERS := $(PEERS)/.installed
# Further options of pip for the peers: where CPU-only wheels of PyTorch are, for instance.
PEERS_PIP ?=
# Quiet: three lines a package would bury what a run says of itself.
PIP_INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check

# A name on the PATH may be a wrapper that does not run, or a Python without venv: so each is tried.
define find_python
found=; \
for candidate in $(if $(PYTHON),$(PYTHON),python3.11 python3.12 python3.13 python3); do \
  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
      2>/dev/null; then found=$$candidate; break; fi; \
done; \
if [ -z "$$found" ]; then \
  echo "make: no usable Python (tried: $(if $(PYTHON),$(PYTHON),python3.11 python3.12 python3.13 python3));" \
    "expected 3.11, 3.12 or 3.13 with the venv module; install one, or name it: make PYTHON=/path/to/python3.11" >&2; \
  exit 1; \
fi
endef

.PHONY: run demo playground test test-all bench test-faults test-playground test-wheel docs tables notebook lint lock clean force
.DELETE_ON_ERROR:

run: $(INSTALLED_RUN)
	$(BIN)/python -m pipeline.run --stage=all --config=$(CONFIG) --workdir=$(WORKDIR) --jobs=$(JOBS) $(ARGS)

demo: $(INSTALLED_RUN)
	$(BIN)/python -m pipeline.run --stage=all --config=configs/demo.py --workdir=runs/demo $(ARGS)
	@echo "A strip of attacked and purified images: runs/demo/report/figures/figure11_combined.svg."

playground: $(INSTALLED_PLAYGROUND)
	$(BIN)/python -m madvae_tf.playground --workdir=$(WORKDIR) $(ARGS)

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 -m '$(TESTS)' $(ARGS)

# The playground last: gradio wants an older Pillow than everything before it was tested with.
test-all: docs
	$(MAKE) test TESTS=
	$(MAKE) notebook
	$(MAKE) test-faults FAULTS=long
	$(MAKE) test-wheel
	$(MAKE) test-playground

# In a browser, where there is Chromium.
test-playground: $(INSTALLED_TEST) $(INSTALLED_PLAYGROUND)
	$(BIN)/python -m pytest tests/playground/test_page.py $(ARGS)

test-wheel:
	@$(find_python); bash .ci/test_wheel "$$found"

$(INSTALLED_DOCS): $(INSTALLED_RUN)
	$(PIP_INSTALL) -c constraints.txt -e '.[$(EXTRAS),docs]'
	@touch $@

notebook: $(INSTALLED_DOCS)
	$(BIN)/python docs/make_notebook.py --run

docs: $(INSTALLED_DOCS)
	$(BIN)/python docs/make_tables.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

tables: $(INSTALLED_RUN)
	$(BIN)/python docs/make_tables.py

test-faults: $(INSTALLED_TEST)
	$(BIN)/python -m tests.faults.run --form=$(FAULTS) --results=$(FAULT_RESULTS) $(ARGS)

lint: $(INSTALLED_TEST)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/python -m pyright

bench: $(INSTALLED_RUN) $(INSTALLED_PEERS)
	$(BIN)/python -m benchmarks.run --peers=$(PEERS)/bin/python --run=$(WORKDIR) $(ARGS)

$(INSTALLED_PEERS): benchmarks/peers.txt benchmarks/peers-constraints.txt
	@$(find_python); rm -rf $(PEERS) && "$$found" -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --disable-pip-version-check $(PEERS_PIP) \
	  -c benchmarks/peers-constraints.txt -r benchmarks/peers.txt
	@touch $@

# An environment whose Python has gone (an upgrade of the system, say) is made anew.
ifneq ($(wildcard $(CREATED)),)
ifneq ($(shell $(BIN)/python -c 'print("works")' 2>/dev/null),works)
$(CREATED): force
endif
endif

# A stamp is written only when its step is complete: what an interrupted one left is removed or gone over again.
$(CREATED):
	@$(find_python); \
	echo "Creating $(VENV) with $$found"; \
	rm -rf $(VENV) && "$$found" -m venv $(VENV) && touch $@

# With the default extra every package is held against its hash; the project itself brings nothing then.
$(INSTALLED_RUN): setup.py constraints.txt requirements.lock $(CREATED)
	@echo "Installing what a run needs into $(VENV): hundreds of megabytes, some minutes"
ifeq ($(EXTRAS),cpu)
	$(PIP_INSTALL) --require-hashes --no-deps -r requirements.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
else
	$(PIP_INSTALL) -c constraints.txt -e '.[$(EXTRAS)]'
endif
	@touch $@

$(INSTALLED_TEST): $(INSTALLED_RUN)
	$(PIP_INSTALL) -c constraints.txt -e '.[$(EXTRAS),test]'
	@touch $@

# gradio has no release yet for the Pillow that is pinned.
$(INSTALLED_PLAYGROUND): $(INSTALLED_RUN)
	grep -vi '^pillow==' constraints.txt > $(VENV)/constraints-playground.txt
	$(PIP_INSTALL) -c $(VENV)/constraints-playground.txt -e '.[$(EXTRAS),playground]'
	@touch $@

lock: setup.py
	@$(find_python); \
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	"$$found" -m venv "$$folder" && \
	"$$folder/bin/python" -m pip install -q --disable-pip-version-check --upgrade setuptools && \
	"$$folder/bin/python" -m pip install -q --disable-pip-version-check '.[test,docs]' && \
	{ printf '%s\n' \
	    '# Every package, pinned, that a run, the tests and the docs install; setup.py has the ranges. Written by `make lock`' \
	    "# on $$("$$folder/bin/python" -c 'import platform as p; print(p.system(), p.machine(), "with Python", p.python_version())')." \
	    '# The same versions resolve on Python 3.12 and 3.13.' && \
	  "$$folder/bin/python" -m pip freeze --all --exclude pip --exclude madvae_tf; } > constraints.txt.new && \
	mv constraints.txt.new constraints.txt && \
	"$$folder/bin/python" -m pip install -q --disable-pip-version-check uv && \
	{ printf '%s\n' \
	    '# What a run installs, each file pinned by its hash: `pip install --require-hashes --no-deps -r requirements.lock`.' \
	    '# Written by `make lock` from setup.py and constraints.txt, for Python 3.11 to 3.13.' && \
	  "$$folder/bin/uv" pip compile -q setup.py -c constraints.txt --generate-hashes --universal --python-version 3.11 \
	    --no-header --no-annotate; } > requirements.lock.new && \
	mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) $(PEERS) build dist madvae_tf.egg-info site .pytest_cache .ruff_cache constraints.txt.new requirements.lock.new
