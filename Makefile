# Everything that is done with this repository, from a fresh clone on. Each target sets itself up.
#
#   make run BACKEND=http://localhost:8080 LISTEN=127.0.0.1:9090
#
# Without BACKEND the recordings are served. PYTHON=/path/to/python overrides the interpreter.

BACKEND ?=
LISTEN  ?= 127.0.0.1:9090
VENV    ?= .venv
PYTHON  ?=
ARGS    ?=
SECONDS ?= 60

BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

# The newest interpreter that really runs: a shim of pyenv may be there and fail.
CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
SUITABLE   := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# A reverse proxy has a host and no path; most clients are given one that ends in /v1.
UPSTREAM := $(patsubst %/,%,$(patsubst %/v1,%,$(patsubst %/,%,$(BACKEND))))
ADDON    := -s addon/qwen_fix.py $(ARGS)

.PHONY: fuzz help setup run web demo test lint bench e2e replay golden record

help:
	@echo "make run BACKEND=http://localhost:8080   repair what this server answers, on http://$(LISTEN)"
	@echo "make web BACKEND=http://localhost:8080   the same, to be watched in the browser"
	@echo "make demo     the whole job on recorded answers, nothing else needed"
	@echo "make test     all tests"
	@echo "make lint     ruff and mypy"
	@echo "make bench    what it costs"
	@echo "make fuzz SECONDS=600   damaged calls and hostile values, other ones each time, for so long"
	@echo "make e2e      real agents and SDKs against a real server; needs npm"
	@echo "make replay   run the recordings through today's rules and compare with their goldens"
	@echo "make golden   approve what they come to: rewrites the goldens that differ"
	@echo "make record BACKEND=http://localhost:8080 NAME=vllm-two-calls [REQUEST=file.json]"
	@echo "make setup    only make $(VENV)"

setup: $(STAMP)
	@:

$(STAMP): pyproject.toml
	@python=; for candidate in $(CANDIDATES); do \
	    if "$$candidate" -c '$(SUITABLE)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "No Python 3.11 or newer with venv runs here (tried: $(CANDIDATES)). Install one, or say PYTHON=/path/to/python" >&2; \
	    exit 1; \
	fi; \
	echo "setting up $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV) && \
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -e '.[dev]' && \
	touch $@

no_path = echo "BACKEND=$(BACKEND): write only scheme, host and port, such as http://localhost:8080" >&2; exit 2

# $(call proxy,mitmdump): with BACKEND in front of it, without in front of the recordings
define proxy
@case "$(UPSTREAM)" in \
    "") exec $(BIN)/python -m qwenproxy.upstream recordings -- $(BIN)/$(1) $(ADDON) --mode "reverse:{url}@$(LISTEN)" ;; \
    *://*/*) $(no_path) ;; \
    *://*) exec $(BIN)/$(1) $(ADDON) --mode "reverse:$(UPSTREAM)@$(LISTEN)" ;; \
    */*) $(no_path) ;; \
    *) exec $(BIN)/$(1) $(ADDON) --mode "reverse:http://$(UPSTREAM)@$(LISTEN)" ;; \
esac
endef

run: setup
	$(call proxy,mitmdump)

web: setup
	$(call proxy,mitmweb)

demo: setup
	@$(BIN)/python tests/e2e/demo.py

test: setup
	@$(BIN)/python -m pytest -n auto $(ARGS)

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: setup
	@$(BIN)/python tests/bench/bench.py $(ARGS)

# Other examples each time, until the time is over or something is found.
fuzz: setup
	@$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) $(ARGS)

e2e: setup
	@PYTHON=$(BIN)/python tests/e2e/install.sh server clients && $(BIN)/python tests/e2e/e2e.py $(ARGS) && $(BIN)/python tests/e2e/again.py

replay: setup
	@$(BIN)/python -m qwenproxy.replay $(ARGS)

golden: setup
	@$(BIN)/python -m qwenproxy.replay --golden $(ARGS)

# REQUEST is what to ask, a JSON file; without it the server is asked for the weather, with a tool.
record: setup
	@$(if $(and $(BACKEND),$(NAME)),,echo "say make record BACKEND=http://localhost:8080 NAME=engine-what" >&2; exit 2)
	@$(BIN)/python -m qwenproxy.replay record "$(NAME)" --backend "$(BACKEND)" $(if $(REQUEST),--request "$(REQUEST)") $(ARGS)
	@$(BIN)/python -m qwenproxy.replay --golden "recordings/$(NAME).flow"
