# Larder. `make` lists the targets; every one sets up what it needs in .venv first.
.DEFAULT_GOAL := help
.PHONY: help run test check snapshot bench train evaluate model ui image clean

PYTHON ?= python3
BIN := .venv/bin
DATA ?= ../shared/data
MODEL ?= ViT-B-32
PRETRAINED ?= openai

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/serving ## start the service on http://127.0.0.1:8000
	$(BIN)/python -m app serve

test: .venv/dev ## run the tests
	$(BIN)/python -m pytest

check: .venv/dev ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

snapshot: .venv/dev ## write the OpenAPI document anew, after a change that is meant
	$(BIN)/python -m tests.test_openapi

bench: .venv/dev ## measure speed and recognition; the numbers of the README
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.accuracy --data $(DATA)

train: .venv/model ## train larder-small anew from the pictures in DATA
	$(BIN)/python -m app.training --data $(DATA) --out models/larder-small

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
