# make demo   set up and run the main job on a real image       make test        set up, then every test (no data needed)
# make lint   ruff and mypy                                     make acceptance  checks against the image collection
# make bench  timings (BENCHMARKS.md)                           make soak        hours of damaged files and of kills
# make clean  remove what the others made

PYTHON ?= python3
VENV ?= .venv
# Where the image collection lies (folders data, bench, seed, dicom); needed by `make acceptance` only.
LOWLIGHT_SHARED ?= $(abspath ../shared)
BIN = $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test browser servers acceptance soak lint bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.bundle
	@mkdir -p out
	$(BIN)/lowlight demo -o out/demo.png

test: $(VENV)/.test $(VENV)-label/lowlight_done lint browser servers
	$(BIN)/python -m pytest -m "not acceptance"

# Pages are tested in a real browser. Root on Debian or Ubuntu gets it installed; everyone else is told.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium >/dev/null && exit 0; \
	fi; \
	echo "make test: no Chromium is installed, in which pages are tested; as root: apt-get install chromium"; exit 1

# DICOM results are checked by programs of other houses, and by a real archive.
SERVERS = dicom3tools dcmtk orthanc orthanc-dicomweb
servers:
	@missing=; for name in dciodvfy dcmdump Orthanc; do command -v $$name >/dev/null || missing="$$missing $$name"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $(SERVERS) >/dev/null && exit 0; \
	fi; \
	echo "make test:$$missing not found; as root: apt-get install $(SERVERS)"; exit 1

soak: $(VENV)/.test servers
	PYTHONPATH=tests/cli $(BIN)/python tests/soak_dicom.py
	PYTHONPATH=tests/services/pacs $(BIN)/python tests/soak_pacs.py
	PYTHONPATH=tests/services $(BIN)/python tests/soak_worker.py
	PYTHONPATH=tests/cli $(BIN)/python tests/soak_archive.py
	$(BIN)/python tests/slicer/soak_slicer.py

acceptance: $(VENV)/.test
	@test -d "$(LOWLIGHT_SHARED)/bench" || { echo "make acceptance: no image collection at $(LOWLIGHT_SHARED); set LOWLIGHT_SHARED"; exit 1; }
	LOWLIGHT_SHARED="$(LOWLIGHT_SHARED)" $(BIN)/python -m pytest -m acceptance

lint: $(VENV)/.test
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary

# One table of all timings. OpenCV is what they are compared with, and nothing else needs it.
bench: $(VENV)/.test $(VENV)-label/lowlight_done
	$(PIP_INSTALL) -e ".[bench]"
	$(BIN)/python benchmarks/all.py

clean:
	rm -rf $(VENV) $(VENV)-label out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis monai_bundle/*.egg-info *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: set PYTHON to a newer one"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing: on Debian or Ubuntu, apt-get install python3-venv"; exit 1; }

# torch comes first and alone: a range met without it would pull the newest build.
$(VENV)/.bundle: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) torch
	$(PIP_INSTALL) -e ".[bundle]"
	@touch $@

$(VENV)/.test: $(VENV)/.bundle
	$(PIP_INSTALL) -e ".[bundle,train,study,pacs,cluster,video,test]"
	@touch $@

# MONAI Label's server lives in an environment of its own, over this one: 110 MB more.
$(VENV)-label/lowlight_done: monai_bundle/lowlight/services/monai_label/requirements.txt $(VENV)/.test
	$(BIN)/lowlight label-app $(VENV)-label/app --environment $(VENV)-label
	@touch $@
