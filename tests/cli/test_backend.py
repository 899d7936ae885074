import json
import os
import subprocess
import sys

import keras
import pytest

from keras_sam.cli import backend as backend_module
from keras_sam.cli.backend import capture_stderr, choose_backend

RUNNING = keras.config.backend()


@pytest.fixture
def nothing_chosen(monkeypatch, tmp_path):
    """No environment variable, no configuration file, no Keras running yet."""
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras")
    return tmp_path


def only_installed(monkeypatch, *names):
    monkeypatch.setattr(backend_module, "find_spec", lambda name: name in names or None)


def test_what_is_asked_for_goes_first(nothing_chosen, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    only_installed(monkeypatch, "jax", "torch")
    assert choose_backend("jax") == "jax"
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_then_the_environment(nothing_chosen, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    only_installed(monkeypatch, "jax", "torch")
    assert choose_backend() == "torch"


def test_then_the_configuration_of_keras(nothing_chosen, monkeypatch):
    (nothing_chosen / "keras.json").write_text(json.dumps({"backend": "torch"}))
    only_installed(monkeypatch, "jax", "torch")
    assert choose_backend() == "torch"


@pytest.mark.parametrize("configuration", ['{"backend": "tensorflow"}', "[]", "{", '{"a": 1}'])
def test_then_an_installed_one(nothing_chosen, monkeypatch, configuration):
    (nothing_chosen / "keras.json").write_text(configuration)
    only_installed(monkeypatch, "torch")
    assert choose_backend() == "torch"
    assert os.environ["KERAS_BACKEND"] == "torch"


@pytest.mark.parametrize(
    ("has_card", "trains", "expected"),
    [
        (False, False, "openvino"),
        (False, True, "torch"),
        (True, False, "torch"),
        (True, True, "torch"),
    ],
)
def test_of_several_the_fastest(nothing_chosen, monkeypatch, has_card, trains, expected):
    monkeypatch.setattr(backend_module, "_has_graphics_card", lambda: has_card)
    only_installed(monkeypatch, *backend_module.BACKENDS)
    (nothing_chosen / "keras.json").write_text('{"backend": "tensorflow"}')  # as Keras writes it
    assert choose_backend(trains=trains) == expected


def test_what_does_not_train_is_no_choice(nothing_chosen, monkeypatch):
    (nothing_chosen / "keras.json").write_text('{"backend": "openvino"}')
    only_installed(monkeypatch, "openvino", "jax")
    assert choose_backend() == "openvino"
    monkeypatch.setenv("KERAS_BACKEND", "")
    assert choose_backend(trains=True) == "jax"


def test_jax_keeps_what_it_compiles(nothing_chosen, monkeypatch, tmp_path):
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.setenv(name, "")  # what is set meanwhile is undone
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    only_installed(monkeypatch, "jax")
    choose_backend()
    directory = os.environ["JAX_COMPILATION_CACHE_DIR"]
    assert directory.startswith(f"{tmp_path}/keras-sam/jax-")
    monkeypatch.setattr(backend_module, "_processor", lambda: "another")
    choose_backend()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == directory
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    choose_backend()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] != directory


def test_none_installed(nothing_chosen, monkeypatch):
    only_installed(monkeypatch)
    with pytest.raises(ValueError, match=r"keras-sam\[jax\]"):
        choose_backend()


def test_not_installed(nothing_chosen, monkeypatch):
    only_installed(monkeypatch, "jax")
    with pytest.raises(ValueError, match=r"'torch' is not installed.*keras-sam\[torch\]"):
        choose_backend("torch")


def test_unknown():
    with pytest.raises(ValueError, match="got 'theano'"):
        choose_backend("theano")


def test_a_running_keras_cannot_change(monkeypatch):
    other = "torch" if RUNNING == "jax" else "jax"
    monkeypatch.setenv("KERAS_BACKEND", RUNNING)
    with pytest.raises(ValueError, match=f"already runs on '{RUNNING}'"):
        choose_backend(other)
    assert choose_backend(RUNNING) == RUNNING


def test_what_a_backend_says_of_itself_is_not_shown():
    code = "from keras_sam.cli import main; main()"
    command = [sys.executable, "-c", code, "info", "--backend", RUNNING]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_stderr_is_shown_where_the_block_fails(capfd):
    with capture_stderr():
        os.write(2, b"a notice\n")
    assert capfd.readouterr().err == ""

    def fail():
        os.write(2, b"a library is missing\n")
        raise ImportError

    with pytest.raises(ImportError), capture_stderr():
        fail()
    assert capfd.readouterr().err == "a library is missing\n"
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


def test_waiting_threads_of_torch_sleep(nothing_chosen, monkeypatch):
    only_installed(monkeypatch, "torch")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    choose_backend()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    choose_backend()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_help_imports_no_keras():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from keras_sam.cli import app\n"
        "result = CliRunner().invoke(app, ['segment', '--help'])\n"
        "assert result.exit_code == 0, result.output\n"
        "sys.exit('keras' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
