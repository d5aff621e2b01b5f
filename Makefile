# Everything a person does here, by name. `make` alone lists it.
PORT ?= 8000
WORKERS ?= 6
SIDE_BY_SIDE = -n $(WORKERS) --dist loadscope --no-loadscope-reorder
# Which tests PostgreSQL gets: those whose outcome can differ; with WHOLE=1 all that have a database.
ON_POSTGRES := $(if $(WHOLE),not soak,not soak and not browser and not slurm and not sshd and not nginx)
KEEPING_DATA := tests/store tests/engine tests/web $(if $(WHOLE),\
    tests/stories tests/cli tests/simulation $(wildcard tests/test_*.py))
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE # what is compiled once is not compiled by each process of the tests
.PHONY: help demo test everything postgres soak bite lint types format screenshots clean

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/run ## Start a server with an example run, until Ctrl-C (PORT=8000, data in demo/)
	@exec $(BIN)/python examples/demo.py --port $(PORT)

test: everything postgres ## Run every test; as root on Debian also on a real cluster, browser and nginx

everything: $(VENV)/test ## Of these, every test once, with databases in SQLite
	@sh tests/parts.sh
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

postgres: $(VENV)/test ## And what works on a database, once more with PostgreSQL
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --on-postgres -m "$(ON_POSTGRES)" $(KEEPING_DATA)

soak: $(VENV)/test ## Faults that take minutes, and 100,000 random histories: an hour or two
	@sh tests/parts.sh
	$(BIN)/python -m pytest -m soak $(SIDE_BY_SIDE)

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
