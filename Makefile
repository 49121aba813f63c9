# Everything that is done with this repository; each target does its own set-up in .venv.
#
#   make run BACKEND=http://localhost:8080 [LISTEN=127.0.0.1:9090] [ARGS="--set qwen_record=flows"]
#
# Without BACKEND the recordings are served. PYTHON=/path/to/python overrides the interpreter.

BACKEND ?=
LISTEN  ?=
VENV    ?= .venv
PYTHON  ?=
ARGS    ?=
SECONDS ?= 60

# A variable that nothing reads would be ignored. PORT and URL may be in the environment for another program.
GIVEN = $(foreach name,$(1),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
$(foreach name,$(call GIVEN,backend URL url),$(error $(name)=$($(name)): write BACKEND=$($(name))))
$(foreach name,$(call GIVEN,listen PORT port HOST host),$(error $(name)=$($(name)): write LISTEN=$($(name))))
$(foreach name,$(call GIVEN,args name request seconds python venv),$(error $(name)=$($(name)): write it in capital letters))

BIN   := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)/.tools

# The newest interpreter that really runs: a shim of pyenv may be there and fail.
CANDIDATES := $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3)
SUITABLE   := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# On a terminal pip shows how far it is.
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install $$([ -t 2 ] || echo --quiet)

.PHONY: help setup tools run web demo check test lint bench fuzz soak e2e replay golden record

help:
	@echo "make run BACKEND=http://localhost:8080   repair what this server answers, on http://127.0.0.1:9090"
	@echo "make web BACKEND=http://localhost:8080   the same, to be watched in the browser"
	@echo "make demo     the whole job on recorded answers, nothing else needed"
	@echo "make check    the quick tests of the library: 45 seconds on two cores"
	@echo "make test     all tests: 3 minutes on two cores"
	@echo "make lint     ruff and mypy"
	@echo "make bench    what it costs: a few minutes; ARGS=--quick the library alone, 20 seconds"
	@echo "make fuzz SECONDS=600   every case at every cut; then damaged calls, hostile values and the gates, other"
	@echo "              ones each time, for so long"
	@echo "make soak SECONDS=600   mixed traffic for so long: memory, files and threads have to stay flat"
	@echo "make e2e      real agents and SDKs against a real server, and the status page in Chromium; needs npm"
	@echo "make replay   run the recordings through today's rules and compare with their goldens"
	@echo "make golden   approve what they come to: rewrites the goldens that differ"
	@echo "make record BACKEND=http://localhost:8080 NAME=vllm-two-calls [REQUEST=file.json]"
	@echo "make setup    only make $(VENV), with what running needs"

# What running needs, and what is for development.
setup: $(READY)
tools: $(TOOLS)

$(READY): pyproject.toml
	@python=; for candidate in $(CANDIDATES); do \
	    if "$$candidate" -c '$(SUITABLE)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "No Python 3.11 or newer with venv runs here (tried: $(CANDIDATES)). Install one, or say PYTHON=/path/to/python" >&2; \
	    exit 1; \
	fi; \
	echo "setting up $(VENV) with $$("$$python" --version): mitmproxy and what it needs, 100 MB"; \
	"$$python" -m venv $(VENV) && $(PIP_INSTALL) -e . && touch $@

$(TOOLS): $(READY)
	@echo "adding the tools for tests to $(VENV)"; $(PIP_INSTALL) -e '.[dev]' && touch $@

run web: setup
	@exec $(BIN)/qwen-fix $@ $(if $(BACKEND),--backend "$(BACKEND)") $(if $(LISTEN),--listen "$(LISTEN)") $(ARGS)

demo: setup
	@$(BIN)/qwen-fix demo

# The library's tests, without those that take long, or many random examples.
check: tools
	@$(BIN)/python -m pytest -n auto -m "not slow and not hypothesis" tests/toolstream $(ARGS)

test: tools
	@$(BIN)/python -m pytest -n auto $(ARGS)

lint: tools
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: tools
	@$(BIN)/python tests/bench/bench.py $(ARGS)

# What `make test` shortens, in full; then other examples each time, until the time is over or a test finds something.
# What the gates find is written to tests/fuzz/findings.
fuzz: tools
	@$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) $(ARGS)

# Mixed traffic; memory, files and threads have to stay flat.
soak: tools
	@$(BIN)/python tests/e2e/soak.py --seconds $(SECONDS) $(ARGS)

e2e: tools
	@PYTHON=$(BIN)/python tests/e2e/install.sh server clients && $(BIN)/python tests/e2e/e2e.py $(ARGS)
	@for part in apis again doctor page; do $(BIN)/python tests/e2e/$$part.py || exit 1; done

replay: setup
	@$(BIN)/qwen-fix replay $(ARGS)

golden: setup
	@$(BIN)/qwen-fix replay --golden $(ARGS)

# REQUEST is what to ask, a JSON file; without it the server is asked for the weather, with a tool.
record: setup
	@$(if $(and $(BACKEND),$(NAME)),,echo "say make record BACKEND=http://localhost:8080 NAME=engine-what" >&2; exit 2)
	@$(BIN)/qwen-fix record "$(NAME)" --backend "$(BACKEND)" $(if $(REQUEST),--request "$(REQUEST)") $(ARGS)
	@$(BIN)/qwen-fix replay --golden "recordings/$(NAME).flow"
