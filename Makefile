# Three commands for a fresh machine: `make profile`, `make test` and `make nightly`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IPEX_VENV := .venv-ipex
IPEX_BIN := $(IPEX_VENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check
# How many commits a night measures, the newest that have a wheel and no results yet.
NEWEST ?= 3

.PHONY: profile test nightly lint docs figures test-ipex clean

profile: $(VENV)/.installed
	$(BIN)/python -m pytest --profile-dnn benchmarks --benchmark-columns=median,iqr,rounds

test: $(VENV)/.installed
	$(BIN)/python -m pytest

# Its exit codes are in docs/history/nightly.md; make exits with 2 for each of them.  uv is found where it was installed.
nightly: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/perfsuite history nightly --newest $(NEWEST)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, in build/docs; a warning is an error, and so is a link that leads nowhere.
docs: $(VENV)/.installed
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky --fresh-env docs build/docs
	@echo 'built: build/docs/index.html'

# The donuts of the four models in docs/images: record them on a machine that does nothing else.
figures: $(VENV)/.installed
	$(BIN)/python docs/figures.py

# torch first and pinned: a range would fetch the registry's newest build and gigabytes of CUDA with it.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) -c constraints.txt torch
	$(BIN)/python $(PIP) -c constraints.txt -e '.[dev,vision]'
	touch $@

test-ipex: $(IPEX_VENV)/.installed
	$(IPEX_BIN)/python -c 'import intel_extension_for_pytorch'  # or its tests would only be skipped
	$(IPEX_BIN)/python -m pytest -m ipex tests

$(IPEX_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(IPEX_VENV)
	$(IPEX_BIN)/python $(PIP) torch==2.8.0 torchvision==0.23.0 intel-extension-for-pytorch==2.8.0 'setuptools<81'
	$(IPEX_BIN)/python $(PIP) -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(IPEX_VENV)
