import json

import keras

from keras_sam.checkpoints.builtin_presets import builtin_presets
from keras_sam.models.sam_backbone import SAMBackbone


def test_json_output(run):
    result = run("info", "--json")
    assert result.exit_code == 0, result.stderr
    info = json.loads(result.stdout)
    assert info["keras"] == keras.__version__
    assert info["backend"] == keras.config.backend()
    assert info["presets"] == list(builtin_presets())
    assert info["devices"]
    assert info["engine"].lower() == f"{keras.config.backend()}engine"
    tiny = SAMBackbone.from_preset("sam_tiny_synthetic", load_weights=False)
    assert info["model"]["parameters"] == tiny.count_params()
    assert info["model"]["image_size"] == list(tiny.image_shape[:2])
    assert info["model"]["limits"]


def test_text_output(run):
    lines = dict(line.split(maxsplit=1) for line in run("info").stdout.splitlines())
    assert lines["backend"] == keras.config.backend()
    assert lines["model"].startswith("sam_tiny_synthetic, ")
    assert "coarse" in lines["limits"]


def test_unknown_backend_is_one_sentence(run):
    result = run("info", "--backend", "theano")
    assert result.exit_code == 1
    assert result.stderr.startswith("keras-sam: backend must be one of jax")
