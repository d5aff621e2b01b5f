# Everything a person does here, by name. `make` alone lists it.
PORT ?= 8000
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help demo test soak bite lint types format screenshots clean

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(VENV)/run ## Start a server with an example run, until Ctrl-C (PORT=8000, data in demo/)
	@exec $(BIN)/python examples/demo.py --port $(PORT)

test: $(VENV)/test ## Run every test; as root on Debian also on a real cluster, browser and nginx
	@sh tests/parts.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

soak: $(VENV)/test ## Faults that take minutes, and 100,000 random histories: an hour or two
	@sh tests/parts.sh
	$(BIN)/python -m pytest -m soak -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

bite: $(VENV)/test ## Take each protection out once: a test must notice
	@$(BIN)/python tests/bite.py

lint: $(VENV)/test ## Style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test ## Types, strictly
	$(BIN)/mypy

format: $(VENV)/test ## Format the code and sort the imports
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

screenshots: $(VENV)/test ## Take pictures of every page into docs/screenshots
	@$(BIN)/python -m tests.screenshots

clean: ## Remove the environment and the demo's data
	rm -rf $(VENV) demo build *.egg-info

# The environments: what running needs, and what testing needs besides.
$(VENV)/run: setup.cfg pyproject.toml | $(BIN)/python
	@echo 'Installing scripthut into $(VENV) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/test: setup.cfg pyproject.toml | $(BIN)/python
	@echo 'Installing scripthut and what its tests need into $(VENV) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/run

$(BIN)/python:
	@sh .ci/environment $(VENV)
