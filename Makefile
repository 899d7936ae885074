# install  every backend and the test tools into .venv
# demo     segments a photograph by a click and by a box, in an environment of its own
# test     all tests on each backend
# check    ruff and mypy
# bench    ours against other implementations, in an environment of its own
# preset   trains the small model that ships in the package, from nothing
# clean    removes what the others made

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PINS := requirements/constraints.txt
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --constraint $(PINS)
BACKENDS ?= torch jax tensorflow openvino

# What no backend changes runs once, with the first of them.
ONCE := tests/annotations tests/batch tests/benchmarks tests/checkpoints tests/cli tests/drawing tests/files \
	tests/images tests/layers/test_keras_hub.py tests/masks tests/test_architecture.py tests/engines/test_tune_malloc.py \
	tests/models/test_formats.py tests/models/test_keras_hub.py \
	tests/predict/test_crops.py tests/predict/test_tile_merger.py tests/predict/test_tiles.py \
	tests/predict/test_crop_pyramid.py tests/predict/test_mask_generator.py tests/predict/test_pipeline.py \
	tests/predict/test_tiled_mask_generator.py \
	$(addprefix recipes/sam_tiny_synthetic/tests/,scenes test_annotated_crops.py test_batches.py \
	test_build_segmenter.py test_initialize_with_priors.py test_main.py test_scene_dataset.py \
	test_train.py test_training_config.py)
# Two processes of one thread each: more threads than cores slow each other down. Each takes half of
# the files in order, so that the tests of a file share what they compile.
# Tests compile many small programs and run each once: XLA compiles them faster unoptimized, and in
# half the time without its fusion emitters.
PYTEST = JAX_DISABLE_MOST_OPTIMIZATIONS=True XLA_FLAGS=--xla_cpu_use_fusion_emitters=false \
	OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=2 .venv/bin/python -m pytest -q -n 2 --dist worksteal

# The spoon by a click, and the cup by a box.
DEMO_IMAGE := keras_sam/assets/coffee.jpg
DEMO_CLICK := --point 366,285
DEMO_BOX := --box 175,18,412,310

.PHONY: install demo test check bench preset clean

install: .venv/.installed

# torch comes first, pinned: nothing that depends on it may then bring another build.
.venv/.installed: pyproject.toml $(PINS)
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP_INSTALL) torch
	.venv/bin/python $(PIP_INSTALL) --editable '.[dev]'
	touch $@

.venv-demo/.installed: pyproject.toml $(PINS)
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python $(PIP_INSTALL) --editable '.[jax]'
	touch $@

demo: .venv-demo/.installed
	@KERAS_BACKEND=jax .venv-demo/bin/keras-sam segment $(DEMO_IMAGE) $(DEMO_CLICK) --output demo/click
	@KERAS_BACKEND=jax .venv-demo/bin/keras-sam segment $(DEMO_IMAGE) $(DEMO_BOX) --output demo/box

test: install
	@failed=""; once=""; \
	for backend in $(BACKENDS); do \
		echo "== $$backend"; \
		KERAS_BACKEND=$$backend $(PYTEST) $$once || failed="$$failed $$backend"; \
		once="$(addprefix --ignore=,$(ONCE))"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed on:$$failed"; exit 1; fi

check: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

.venv-bench/.installed: pyproject.toml $(PINS)
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python $(PIP_INSTALL) torch
	.venv-bench/bin/python $(PIP_INSTALL) --editable '.[bench]'
	touch $@

# All of it takes hours; `make bench BENCH="--workload encoder"` takes a part.
bench: .venv-bench/.installed
	.venv-bench/bin/python -m benchmarks compare --output runs/bench $(BENCH)

# If stopped, it resumes when repeated. float16 halves the size of the preset. DATASET is a folder
# of annotated images to mix in; the shipped preset had nuclei (recipes/sam_tiny_synthetic/README.md).
# DTYPE=mixed_bfloat16 is faster, but only on CPUs with AVX512-BF16 and on GPUs.
DATASET ?=
DTYPE ?= float32
preset: install
	KERAS_BACKEND=torch .venv/bin/python -m recipes.sam_tiny_synthetic train --output runs/tiny \
		--dtype $(DTYPE) $(if $(DATASET),--dataset $(DATASET))
	.venv/bin/keras-sam convert runs/tiny/preset keras_sam/presets/sam_tiny_synthetic \
		--to keras --dtype float16

clean:
	rm -rf .venv .venv-bench .venv-demo demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
