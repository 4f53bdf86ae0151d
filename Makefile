# make app: install and open the app.  make test: install and run every test.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: app test check clean

app: .venv/.app
	$(BIN)/streamlit run app/main.py

test: .venv/.test
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/test

check: .venv/.test
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check

clean:
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pahq needs Python 3.11 or later; this is $$($(PYTHON) --version)."; \
	    echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.app: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/.test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@
