import json

import keras

from keras_sam.checkpoints import builtin_presets


def test_what_runs_here(run):
    result = run("info", "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["keras"] == keras.__version__
    assert facts["backend"] == keras.config.backend()
    assert facts["presets"] == list(builtin_presets())
    assert facts["devices"]


def test_as_text(run):
    assert f"{keras.config.backend()}" in run("info").stdout


def test_an_unknown_backend_is_one_sentence(run):
    result = run("info", "--backend", "theano")
    assert result.exit_code == 1
    assert result.stderr.startswith("keras-sam: backend must be one of jax")
