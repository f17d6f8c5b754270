# make demo   reconstruct the sample slices into demo-output/
# make test   the test suite
# make lint   style, types and import rules
# make docs   the documentation as a site, into docs-site/: open docs-site/index.html
# make bench-speed   the projector against others, into results.json; takes a while
# make lock   the lists of packages with their hashes, anew from constraints.txt
#
# All use .venv, set up on the first call and again only when the dependencies change. Another Python than
# python3: make PYTHON=python3.12 demo

# threads that wait for each other by spinning longer make tests many times slower on a machine that others use too
export GOMP_SPINCOUNT ?= 10000

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# editable: the sources are read in place, so a change of code calls for no new set-up
INSTALL := $(BIN)/python -m pip install -c constraints.txt -e
# What `make demo` and `make test` need: all but torch by hash, and nothing that is not listed. torch is pinned by its
# version alone, as its builds differ by platform and source; so are the libraries of NVIDIA that some of them bring.
locked = $(BIN)/python -m pip install --require-hashes --no-deps -r requirements/$(1).lock && \
  $(BIN)/python -m pip install -c constraints.txt torch && \
  $(BIN)/python -m pip install --no-deps -e .

.PHONY: demo test lint docs bench-speed lock judges
.NOTPARALLEL: # two pip runs in one environment would trip over each other

demo: $(VENV)/.set-up-run
	$(BIN)/ctresample demo -o demo-output

# one thread a worker: of two workers with two threads each, four would wait for each other on two cores, and the suite
# takes twice as long
test: export OMP_NUM_THREADS = 1
# not "python -m pytest", which would put this folder, and with it a bare "pipelines", on the import path
test: $(VENV)/.set-up-test judges
	$(BIN)/pytest -n 2 --dist loadfile

lint: $(VENV)/.set-up-lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.set-up-docs
	$(BIN)/python benchmarks/docs/tables.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

bench-speed: $(VENV)/.set-up-bench
	$(BIN)/python benchmarks/speed/projectors.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is missing or older than Python 3.11; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make an environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.set-up-run: pyproject.toml constraints.txt requirements/run.lock | $(BIN)/python
	$(call locked,run)
	@touch $@

$(VENV)/.set-up-test: pyproject.toml constraints.txt requirements/test.lock | $(BIN)/python
	$(call locked,test)
	@touch $@

$(VENV)/.set-up-lint: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) '.[lint]'
	@touch $@

$(VENV)/.set-up-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) '.[docs]'
	@touch $@

$(VENV)/.set-up-bench: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) '.[bench]'
	@touch $@

# Hashes of every file that the index offers of a version, so that the list holds on every platform.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet 'pip-tools>=7.5'
	$(call compiled,run)
	$(call compiled,test,--extra test)
compiled = $(VENV)-lock/bin/pip-compile --quiet --no-config --generate-hashes --strip-extras --no-header \
  --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
  --unsafe-package torch --unsafe-package ctresample $(2) \
  --constraint constraints.txt --output-file requirements/$(1).lock pyproject.toml

# Programs of others that judge the DICOM we write (dciodvfy of dicom3tools, dcm2niix), recode it (dcmtk) and serve it
# (Orthanc), and a browser that opens the reports (Chromium).
HAVE_JUDGES := command -v dciodvfy >/dev/null && command -v dcm2niix >/dev/null && command -v dcmcjpeg >/dev/null && \
  command -v Orthanc >/dev/null && command -v chromium >/dev/null && ls /usr/share/orthanc/plugins/libOrthancDicomWeb.so >/dev/null 2>&1
judges:
	@$(HAVE_JUDGES) || { \
	  if [ "$$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi; \
	  $$as_root apt-get -q update && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends \
	    dicom3tools dcm2niix dcmtk orthanc orthanc-dicomweb chromium; \
	} || echo "make: could not install dicom3tools, dcm2niix, dcmtk, orthanc and chromium, which some tests call" >&2
