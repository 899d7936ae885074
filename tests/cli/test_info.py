import json

import keras

from keras_sam.checkpoints.builtin_presets import builtin_presets
from keras_sam.models.sam_backbone import SAMBackbone


def test_what_runs_here(run):
    result = run("info", "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["keras"] == keras.__version__
    assert facts["backend"] == keras.config.backend()
    assert facts["presets"] == list(builtin_presets())
    assert facts["devices"]
    assert facts["engine"].lower() == f"{keras.config.backend()}engine"
    tiny = SAMBackbone.from_preset("sam_tiny_synthetic", load_weights=False)
    assert facts["model"]["parameters"] == tiny.count_params()
    assert facts["model"]["image_size"] == list(tiny.image_shape[:2])
    assert facts["model"]["limits"]


def test_as_text(run):
    lines = dict(line.split(maxsplit=1) for line in run("info").stdout.splitlines())
    assert lines["backend"] == keras.config.backend()
    assert lines["model"].startswith("sam_tiny_synthetic, ")
    assert "coarse" in lines["limits"]


def test_an_unknown_backend_is_one_sentence(run):
    result = run("info", "--backend", "theano")
    assert result.exit_code == 1
    assert result.stderr.startswith("keras-sam: backend must be one of jax")
