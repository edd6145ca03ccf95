.PHONY: install run serve test lint bench bench-peers lock browser
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
# Pipenv works inside .venv, whichever environment the shell may have active.
PIPENV := VIRTUAL_ENV='$(CURDIR)/.venv' PIPENV_VERBOSITY=-1 $(BIN)/pipenv

install: .venv/installed  ## Everything that Pipfile.lock names, into .venv

.venv/installed: .venv/served
	$(PIPENV) sync --dev
	touch $@

.venv/served: Pipfile.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Movie-bag needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pipenv==2026.10.3'
	$(PIPENV) sync
	touch $@

run: .venv/served  ## The development server, on http://127.0.0.1:5000
	exec $(BIN)/python run.py

serve: .venv/served  ## As in production, with gunicorn, on HOST and PORT
	exec $(BIN)/gunicorn

test: install  ## The whole suite; MONGODB_URI=… points it at another server
	$(BIN)/python -m pytest

browser: install  ## What the browser tests need, on Debian or Ubuntu, as root; without it they skip
	command -v chromium >/dev/null && command -v npm >/dev/null || (apt-get update -qq && apt-get install -yqq chromium npm)
	npm install --silent --no-save --prefix .venv/axe axe-core@4.14.1

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install  ## How fast it is, beside what could be, in 5 minutes; into docs/performance.md
	$(BIN)/python -m bench

bench-peers: install  ## The same work by fastapi-users and Flask-Security
	$(BIN)/python -m bench.peers

lock: install  ## Pipfile.lock anew; it names no package index, so yours applies
	$(PIPENV) lock --dev
	$(BIN)/python -c 'import json, pathlib; p = pathlib.Path("Pipfile.lock"); d = json.loads(p.read_text()); d["_meta"]["sources"] = []; p.write_text(json.dumps(d, indent=4) + "\n")'
