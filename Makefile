# install  set up .venv with all backends and the test tools
# demo     segment a photograph by a point and by a box, in an environment of its own
# test     run all tests on each backend
# check    run the linters, the type checker and the language check
# bench    compare with other implementations, in an environment of its own
# preset   train the small preset of the package from random weights
# clean    remove everything that the others create

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PINS := requirements/constraints.txt
WEB := tests/export/web
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --constraint $(PINS)
BACKENDS ?= torch jax tensorflow openvino

# Tests whose result does not depend on the backend run once, with the first of them.
ONCE := recipes/sam_tiny_synthetic tests/annotations tests/batch tests/benchmarks \
	tests/checkpoints tests/cli tests/drawing tests/evaluate tests/files tests/images tests/masks \
	tests/transforms \
	tests/test_architecture.py tests/test_docs.py tests/test_examples.py \
	tests/layers/test_tune_malloc.py tests/layers/test_keras_hub.py \
	$(addprefix tests/export/,layouts test_check.py test_decoder.py test_encoder.py \
	test_export_model.py test_frame.py test_merge_adapters.py test_onnx_stages.py \
	test_onnxruntime_web.py test_program.py test_samples.py \
	$(addprefix formats/test_,onnx_format.py onnx_model.py onnx_weights.py openvino_format.py \
	registry.py torch_format.py torch_program.py)) \
	$(addprefix tests/models/test_,formats.py high_quality.py keras_hub.py preprocessed_data.py \
	preset_loading.py sam_image_converter.py sam_image_segmenter_preprocessor.py set_trainable.py \
	weight_names.py weights_hash.py) \
	$(addprefix tests/predict/test_,batch_decoder.py crop_mask.py crop_pyramid.py crop_search.py \
	crops.py generated_mask.py generator_config.py image_embedding.py multi_scale_predictor.py nms.py \
	predict_records.py predictor.py resample_logits.py sam_mask_generator.py \
	select_diverse_masks.py tile_merger.py tiled_mask_generator.py tiles.py) \
	$(addprefix tests/train/test_,augmentation.py batch_part.py check_dataset.py finetune.py \
	mask_batches.py memory_plan.py refit.py report.py report_curves.py report_gallery.py \
	report_html.py report_scores.py stop_on_nan.py tensorboard_logs.py torch_processes.py \
	training_state.py)
# Two processes with one thread each, since more threads than cores are slower. Tests of a file stay
# in one process and share compiled programs.
# Tests run each program only once: XLA compiles faster without optimization, and takes half the
# time without its fusion emitters.
PYTEST = JAX_DISABLE_MOST_OPTIMIZATIONS=True XLA_FLAGS=--xla_cpu_use_fusion_emitters=false \
	OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=2 .venv/bin/python -m pytest -q -n 2 --dist worksteal

# A point on the spoon, and a box around the cup.
DEMO_IMAGE := keras_sam/assets/coffee.jpg
DEMO_POINT := --point 366,285
DEMO_BOX := --box 175,18,412,310

.PHONY: install demo test check bench preset clean

install: .venv/.installed

# torch is installed first and pinned, so that no dependency replaces it by another build.
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
	@KERAS_BACKEND=jax .venv-demo/bin/keras-sam segment $(DEMO_IMAGE) $(DEMO_POINT) --output demo/point
	@KERAS_BACKEND=jax .venv-demo/bin/keras-sam segment $(DEMO_IMAGE) $(DEMO_BOX) --output demo/box

# The runtime of browsers, in which exported files are tested where npm is installed.
$(WEB)/node_modules: $(WEB)/package-lock.json
	if command -v npm; then npm ci --prefix $(WEB) --ignore-scripts --no-audit --no-fund; fi

test: install $(WEB)/node_modules
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
	.venv/bin/python -m tests.check_language

.venv-bench/.installed: pyproject.toml $(PINS)
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python $(PIP_INSTALL) torch
	.venv-bench/bin/python $(PIP_INSTALL) --editable '.[bench]'
	touch $@

# All benchmarks take hours. `make bench BENCH="--workload encoder"` runs one.
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
	rm -rf .venv .venv-bench .venv-demo $(WEB)/node_modules demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
