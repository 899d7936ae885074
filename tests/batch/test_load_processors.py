import importlib.metadata
from dataclasses import replace

import keras
import pytest

from keras_sam.batch.load_processors import load_processors, model_hash
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter


@pytest.fixture
def model(preset):
    return SAMImageSegmenter.from_preset(str(preset))


def test_processors_share_a_model_and_its_provenance(settings, model):
    first, second = load_processors(settings, 2)
    assert first.predictor.engine is second.predictor.engine
    assert first.provenance == second.provenance
    backend = keras.backend.backend()
    assert first.provenance.preset == settings.preset
    assert first.provenance.model_hash == model_hash(model)
    assert first.provenance.backend == backend
    assert first.provenance.backend_version == importlib.metadata.version(backend)


def test_dtype_of_the_settings_is_that_of_the_model(settings):
    (processor,) = load_processors(replace(settings, dtype="bfloat16"))
    assert processor.predictor.model.backbone.image_encoder.compute_dtype == "bfloat16"


def test_missing_preset_raises(settings, tmp_path):
    with pytest.raises(ValueError, match="preset"):
        load_processors(replace(settings, preset=str(tmp_path / "nothing")))


def test_model_hash_depends_on_the_content_alone(preset, model, tmp_path):
    model.save_to_preset(tmp_path / "copy")
    copy = SAMImageSegmenter.from_preset(str(tmp_path / "copy"))
    assert model_hash(copy) == model_hash(model)
    assert len(model_hash(model)) == 16


def test_model_hash_depends_on_every_weight(model):
    before = model_hash(model)
    weight = model.weights[-1]
    weight.assign(keras.ops.add(weight, 1.0))
    assert model_hash(model) != before


def test_model_hash_depends_on_image_shape_dtype_and_inference_config(preset, model):
    hashes = {model_hash(model), model_hash(model.with_image_shape((32, 32, 3)))}
    hashes.add(model_hash(SAMImageSegmenter.from_preset(str(preset), dtype="bfloat16")))
    model.inference_config = "medsam"
    hashes.add(model_hash(model))
    assert len(hashes) == 4
