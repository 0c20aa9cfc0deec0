# Every habit is one target. Rust, Python (3.10 to 3.13, with venv) and make are assumed;
# everything else is fetched into .venv and target.
#
#   make run        build, and serve examples/notes.py (HOST=127.0.0.1 PORT=5000)
#   make setup      build the extension into .venv, and install the tools
#   make test       build, and run every check and test; what CI runs
#   make test-fast  the tests that take milliseconds
#   make fmt lint types deps docs
#                   one check each; `make fmt` rewrites
#   make conformance differential
#                   Flask's suite and extensions' on bustapi; routing and parsing against Werkzeug's
#   make latest lowest
#                   the tests beside the newest and the oldest dependencies that are admitted
#   make conformance-apps
#                   applications from PyPI on Flask and on bustapi (APPS=moto,dash for some)
#   make record     write every recorded file anew
#   make bench bench-routing bench-server bench-held bench-peers load instructions
#                   measurements
#   make fuzz       random input for the parsers
#   make wheel      an installable wheel, in dist
#   make clean      forget everything built, and the interpreter
#
# PYTHON=python3.12 make ... chooses the interpreter, once: `make clean` forgets it.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 5000

VENV := .venv
PY := $(VENV)/bin/python
# One interpreter for every build of the extension, or cargo would build pyo3 anew each time
# another one is first on PATH.
export PYO3_PYTHON := $(CURDIR)/$(PY)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

CRATES := bustapi-router bustapi-http bustapi-core bustapi-py
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find $(CRATES) -name '*.rs' -o -name 'Cargo.toml')
PIP_INSTALL := $(PY) -m pip install --quiet --constraint scripts/constraints.txt

.PHONY: setup tools run test test-fast fmt fmt-check lint lint-rust lint-fuzz lint-python types types-native deps \
        test-rust test-python test-python-fast conformance conformance-short conformance-apps differential record \
        latest lowest \
        bench bench-routing bench-server bench-held bench-peers instructions fuzz fuzz-build load docs docs-rust \
        docs-guide \
        ci msrv wheel clean help

help:
	@sed -n '/^$$/q;s/^# \{0,1\}//p' Makefile

# ------------------------------------------------------------------ environment
# A stamp file stands for each step, so that a second `make run` starts at once.

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed (PYTHON=python3.x make ...)")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet pip==26.3
	@touch $@

$(VENV)/.run: pyproject.toml scripts/constraints.txt $(VENV)/.created
	$(PIP_INSTALL) --group build --group run
	@touch $@

$(VENV)/.tools: $(VENV)/.run
	$(PIP_INSTALL) --group dev
	@touch $@

# The package is installed in place: a changed Python file needs no rebuild.
$(VENV)/.extension: $(RUST_SOURCES) $(VENV)/.run
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/maturin develop --release
	@touch $@

tools: $(VENV)/.tools

setup: $(VENV)/.extension $(VENV)/.tools

run: $(VENV)/.extension
	$(VENV)/bin/bustapi --app examples/notes.py run --host $(HOST) --port $(PORT)

# ------------------------------------------------------------------ everything
# Runs all stages even when one fails, and ends with a table of them.

test:
	@$(PYTHON) scripts/run_stages.py

test-fast: test-rust test-python-fast

ci:
	bash .ci/run

# ------------------------------------------------------------------ stages
fmt: $(VENV)/.tools
	cargo fmt --all
	$(VENV)/bin/ruff check --quiet --select I --fix .
	$(VENV)/bin/ruff format .

fmt-check: $(VENV)/.tools
	cargo fmt --all --check
	$(VENV)/bin/ruff format --check .

lint: lint-rust lint-fuzz lint-python

lint-rust: $(VENV)/.created
	cargo clippy --workspace --all-targets --locked -- -D warnings

# The fuzz targets must compile; libFuzzer itself, which is C++, is built by `make fuzz` only.
lint-fuzz: $(VENV)/.created
	CUSTOM_LIBFUZZER_PATH=$(CURDIR)/fuzz/libfuzzer.a CUSTOM_LIBFUZZER_STD_CXX=none \
	cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target --locked -- -D warnings

lint-python: $(VENV)/.tools
	$(VENV)/bin/ruff check .

types: $(VENV)/.tools
	$(VENV)/bin/mypy
	$(VENV)/bin/pyright --project pyproject.toml

# The stub of the extension against the extension itself.
types-native: setup
	$(PY) -m mypy.stubtest bustapi._native

deps: $(VENV)/.tools
	$(PY) scripts/check_imports.py
	$(PY) scripts/check_crates.py
	$(PY) scripts/check_folders.py

test-rust: $(VENV)/.created
	cargo test --workspace --locked

test-python: setup
	$(PY) -m pytest tests

test-python-fast: setup
	$(PY) -m pytest tests -m "not slow"

# Third-party test suites on real Flask and on bustapi; cached under .cache/conformance.
conformance: setup
	$(PY) -m tests.conformance

conformance-short: setup
	$(PY) -m tests.conformance --short

# Applications from PyPI, unmodified, on real Flask and on bustapi; kept under .cache/applications.
# Dash wants chromium and chromium-driver (Debian's names) on the path.
APPS ?=
conformance-apps: setup
	$(PY) -m tests.applications $(APPS)

# Routing against Werkzeug's on generated maps, and everything that is parsed natively on generated
# texts; `make test` compares 5,000 calls, and 100 texts a parser.
DIFFERENTIAL_CASES ?= 200000
differential: setup
	DIFFERENTIAL_CASES=$(DIFFERENTIAL_CASES) $(PY) -m pytest --timeout 3600 tests/differential

# Beside the releases that an installation may have: the newest of each dependency with the whole
# suite, the oldest with the quick tests. RANGES_ARGS='--wheel dist/...whl -- tests/test_x.py'
latest lowest: setup
	$(PY) scripts/check_ranges.py $@ $(RANGES_ARGS)

# What real Flask and Werkzeug answer, asked anew; nothing changes where nothing has changed.
record: setup
	cd tests && ../$(PY) -m doors.record
	$(PY) bustapi-http/tests/vectors/record.py

docs: docs-rust docs-guide

docs-rust: $(VENV)/.created
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

docs-guide: setup
	$(PY) scripts/settings_table.py --check
	$(PY) scripts/check_docs.py

# ------------------------------------------------------------------ measuring
bench: $(VENV)/.created
	cargo bench --locked --package bustapi-benches

# URL maps beside Werkzeug's, from Python.
bench-routing: setup
	$(PY) benches/routing.py

bench-server: setup
	$(PY) benches/load/server.py

# Other requests beside a view that waits, or that keeps the interpreter.
bench-held: setup
	$(PY) benches/load/held.py $(BENCH_ARGS)

# BENCH_ARGS='--rounds 5 --peers bustapi,flask+gunicorn' and such; `--help` lists them.
bench-peers: setup
	$(PY) benches/load/peers.py $(BENCH_ARGS)

# Instructions per request under valgrind, compared with benches/load/instructions.json.
instructions: setup
	$(PY) benches/load/instructions.py

load: setup
	$(PY) benches/load/load.py

# Builds the fuzz targets with the stable compiler and runs each for a while on random input.
FUZZ_SECONDS ?= 30
fuzz:
	$(PYTHON) scripts/run_fuzz.py --seconds $(FUZZ_SECONDS)

fuzz-build:
	$(PYTHON) scripts/run_fuzz.py --build-only

# ------------------------------------------------------------------ packaging
MSRV := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
msrv: $(VENV)/.created
	cargo +$(MSRV) check --workspace --locked --target-dir target/msrv

wheel: $(VENV)/.run
	$(VENV)/bin/maturin build --release --out dist

clean:
	rm -rf $(VENV) target fuzz/target dist .cache .mypy_cache .ruff_cache .pytest_cache
	find python -name '*.so' -delete
