# Larder. `make` lists the targets; every one sets up what it needs in .venv first.
.DEFAULT_GOAL := help
.PHONY: help run test check audit snapshot bench chaos train evaluate model ui image clean

PYTHON ?= python3
BIN := .venv/bin
DATA ?= ../shared/data
MODEL ?= ViT-B-32
PRETRAINED ?= openai
SEED ?= 0

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/serving ## start the service on http://127.0.0.1:8000
	$(BIN)/python -m app serve

test: .venv/dev ## run the tests
	$(BIN)/python -m pytest

check: .venv/dev ## formatting, lint, types, and known vulnerabilities where the network is
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.audit

audit: .venv/dev ## hold the serving requirements against the published vulnerabilities; fails where that is impossible
	$(BIN)/python -m tests.audit --must

snapshot: .venv/dev ## write the OpenAPI document anew, after a change that is meant
	$(BIN)/python -m tests.test_openapi

bench: .venv/dev models/ViT-B-32-none/config.json ## measure speed and recognition: the numbers of the README
	$(BIN)/python -m benchmarks.engine --model ViT-B-32-none
	$(BIN)/python -m benchmarks.latency --model larder-small
	$(BIN)/python -m benchmarks.latency --model ViT-B-32-none
	$(BIN)/python -m benchmarks.service --model larder-small
	$(BIN)/python -m benchmarks.service --model ViT-B-32-none --naive
	$(BIN)/python -m benchmarks.large_pictures --model ViT-B-32-none
	$(BIN)/python -m benchmarks.memory --model ViT-B-32-none
	@if [ -n "$(PEERS)" ]; then $(BIN)/python -m benchmarks.peers --python $(PEERS)/bin/python; \
	  else echo "peers were not measured: PEERS= names a virtual environment with benchmarks/peers-requirements.txt"; fi
	$(BIN)/python -m benchmarks.live --model ViT-B-32-none
	$(BIN)/python -m benchmarks.accuracy --data $(DATA)

chaos: .venv/dev models/ViT-B-32-none/config.json ## hostile inputs, overload, kills and outages, within five minutes
	$(BIN)/python -m benchmarks.chaos --model ViT-B-32-none

train: .venv/model ## train larder-small anew from the pictures in DATA, in two runs
	$(BIN)/python -m app.training --data $(DATA) --out data/training/first-bundle --keep data/training/first
	$(BIN)/python -m app.training --data $(DATA) --out models/larder-small --keep data/training/second \
	  --start data/training/first --epochs 55 --set learning_rate=0.0012 --set sizes=[128] \
	  --set image_size=128 --set mix_share=0.5

model: .venv/model ## export an open_clip model to models/: MODEL=ViT-B-32 PRETRAINED=openai, none or a path; SEED=0
	$(BIN)/python -m app models export "$(MODEL)" "$(PRETRAINED)" --seed $(SEED)

models/ViT-B-32-none/config.json: .venv/model
	$(BIN)/python -m app models export ViT-B-32 none

clean: ## remove what make has set up
	rm -rf .venv

.venv/python:
	$(PYTHON) -m venv .venv
	touch $@

.venv/serving: .venv/python requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/model: .venv/serving requirements-model.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-model.txt
	touch $@

.venv/dev: .venv/model requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
