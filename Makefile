.PHONY: install run serve docs docs-serve test test-rest test-long test-memory test-all lint translations figures reference clients picture bench bench-peers bench-sizes lock browser
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
# Pipenv works inside .venv, whatever environment the shell has active.
PIPENV := VIRTUAL_ENV='$(CURDIR)/.venv' PIPENV_VERBOSITY=-1 $(BIN)/pipenv

# Tests that say nothing about a database; sending_email sorts without an index.
OF_HTTP := access_tokens book breached_passwords client_ip cookies demo dev_mail email_events email_pages errors \
  factor_mails forged_access_tokens full_hashing_pool headers health input introspect jwt_required languages openapi pages \
  passkey_cost passkey_credentials processor_time rate_limits recent_session security_events tokens verify well_known
OF_A_PROCESS := bench bench_peers check commands database_commands email_log http_file http_server key_rotation log mail_templates metrics \
  other_service rate_limits_redis readme sending_email settings_changes start user_commands
OF_MEMORY := tests/resilience/test_memory.py

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

docs: install  ## The book as a site, into site/; a broken link fails. The development server shows it at /book
	$(BIN)/zensical build --clean --strict

docs-serve: install  ## The book on http://localhost:8000, built again at each change of docs/
	exec $(BIN)/zensical serve

test: install  ## The API specification, unit and integration tests; MONGODB_URI=… for another server
	$(BIN)/python -m pytest -n 2 tests/api tests/unit tests/integration

test-rest: install  ## What make test leaves out: docs, resilience, property, browsers, a second database
	$(MAKE) -j 2 test-long test-memory
	$(BIN)/python -m pytest tests/resilience -m alone
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/integration tests/api tests/unit -m slow
	.ci/secantusdb $(BIN)/python -m pytest -n 2 tests/api tests/integration -m 'not embedded and not slow' \
	  -k 'not 1000_jobs' $(OF_HTTP:%=--ignore=tests/api/test_%.py) $(OF_A_PROCESS:%=--ignore=tests/integration/test_%.py)

test-long: install  ## Of test-rest, what takes longest
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/property tests/resilience tests/docs \
	  -m 'not alone' --ignore=$(OF_MEMORY)

test-memory: install  ## The memory of a worker, in 10 minutes with little load, or in MEMORY_MINUTES=60
	$(BIN)/python -m pytest $(OF_MEMORY) -m slow

test-all: test test-rest  ## Every test

# Debian's npm can't be installed beside a Node.js that brings its own.
browser:  ## What the tests with browsers and API clients need, on Debian or Ubuntu, as root; without it they skip
	for program in chromium npm; do \
	  command -v $$program >/dev/null || (apt-get update -qq && apt-get install -yqq $$program) || exit 1; \
	done
	npm install --silent --no-save --prefix .venv/npm axe-core@4.14.1 httpyac@6.16.7 newman@6.2.2 openapi-to-postmanv2@6.3.3 \
	  openapi-typescript@7.13.0 openapi-fetch@0.17.0 typescript@5.9.3 axios@1.21.1 axios-auth-refresh@5.0.2 ky@2.1.0

lint: install  ## Style, types, words, imports, function lengths and translations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m scripts.lint

translations: install  ## translations/ again, from the templates; LOCALE=fr adds a language
	$(BIN)/python -m scripts.translations $(LOCALE)

figures: install  ## Lines of code and lengths of functions
	$(BIN)/python -m scripts.lint.figures

reference: install  ## docs/reference again, from the code
	$(BIN)/python -m scripts.reference

clients: install  ## clients/ again, from the OpenAPI document; needs make browser
	$(BIN)/python -m scripts.clients

picture: install  ## The picture of the README again, from the demo; needs make browser
	$(BIN)/python -m scripts.picture

bench: install  ## How fast it is, beside its limits, in 15 minutes; writes docs/performance.md and its charts
	$(BIN)/python -m bench

bench-peers: install  ## The same work by four others, in 20 minutes; needs Node, npm and PostgreSQL, installed
	$(BIN)/python -m bench.peers

bench-sizes: install  ## Each request with 1,000 users, and with 1,000,000, in 25 minutes; needs 3 GB in TMPDIR
	$(BIN)/python -m bench.sizes

lock: install  ## Pipfile.lock again; it names no package index, so that yours applies
	$(PIPENV) lock --dev
	$(BIN)/python -c 'import json, pathlib; p = pathlib.Path("Pipfile.lock"); d = json.loads(p.read_text()); d["_meta"]["sources"] = []; p.write_text(json.dumps(d, indent=4) + "\n")'
