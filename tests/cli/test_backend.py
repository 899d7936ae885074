import json
import os
import subprocess
import sys

import keras
import pytest

from keras_sam.cli import backend as backend_module
from keras_sam.cli.backend import capture_stderr, choose_backend

CURRENT = keras.config.backend()


@pytest.fixture
def nothing_configured(monkeypatch, tmp_path):
    """No environment variable, no configuration file, and Keras not imported."""
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras")
    return tmp_path


def only_installed(monkeypatch, *names):
    monkeypatch.setattr(backend_module, "find_spec", lambda name: name in names or None)


def test_requested_backend_has_priority(nothing_configured, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    only_installed(monkeypatch, "jax", "torch")
    assert choose_backend("jax") == "jax"
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_environment_variable_is_second(nothing_configured, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    only_installed(monkeypatch, "jax", "torch")
    assert choose_backend() == "torch"


def test_configuration_file_of_keras_is_third(nothing_configured, monkeypatch):
    (nothing_configured / "keras.json").write_text(json.dumps({"backend": "torch"}))
    only_installed(monkeypatch, "jax", "torch")
    assert choose_backend() == "torch"


@pytest.mark.parametrize("configuration", ['{"backend": "tensorflow"}', "[]", "{", '{"a": 1}'])
def test_installed_backend_is_last(nothing_configured, monkeypatch, configuration):
    (nothing_configured / "keras.json").write_text(configuration)
    only_installed(monkeypatch, "torch")
    assert choose_backend() == "torch"
    assert os.environ["KERAS_BACKEND"] == "torch"


@pytest.mark.parametrize(
    ("has_gpu", "trains", "expected"),
    [
        (False, False, "openvino"),
        (False, True, "torch"),
        (True, False, "torch"),
        (True, True, "torch"),
    ],
)
def test_fastest_installed_backend(nothing_configured, monkeypatch, has_gpu, trains, expected):
    monkeypatch.setattr(backend_module, "_has_gpu", lambda: has_gpu)
    only_installed(monkeypatch, *backend_module.BACKENDS)
    (nothing_configured / "keras.json").write_text(
        '{"backend": "tensorflow"}'
    )  # as Keras writes it
    assert choose_backend(trains=trains) == expected


def test_training_excludes_openvino(nothing_configured, monkeypatch):
    (nothing_configured / "keras.json").write_text('{"backend": "openvino"}')
    only_installed(monkeypatch, "openvino", "jax")
    assert choose_backend() == "openvino"
    monkeypatch.setenv("KERAS_BACKEND", "")
    assert choose_backend(trains=True) == "jax"


def test_jax_has_a_compilation_cache_per_cpu(nothing_configured, monkeypatch, tmp_path):
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.setenv(name, "")  # so that monkeypatch restores it
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    only_installed(monkeypatch, "jax")
    choose_backend()
    directory = os.environ["JAX_COMPILATION_CACHE_DIR"]
    assert directory.startswith(f"{tmp_path}/keras-sam/jax-")
    monkeypatch.setattr(backend_module, "_cpu_description", lambda: "another")
    choose_backend()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == directory
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    choose_backend()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] != directory


def test_no_installed_backend_raises(nothing_configured, monkeypatch):
    only_installed(monkeypatch)
    with pytest.raises(ValueError, match=r"keras-sam\[jax\]"):
        choose_backend()


def test_missing_backend_raises(nothing_configured, monkeypatch):
    only_installed(monkeypatch, "jax")
    with pytest.raises(ValueError, match=r"'torch' is not installed.*keras-sam\[torch\]"):
        choose_backend("torch")


def test_unknown_backend_raises():
    with pytest.raises(ValueError, match="got 'theano'"):
        choose_backend("theano")


def test_backend_of_imported_keras_cannot_change(monkeypatch):
    other = "torch" if CURRENT == "jax" else "jax"
    monkeypatch.setenv("KERAS_BACKEND", CURRENT)
    with pytest.raises(ValueError, match=f"already runs on '{CURRENT}'"):
        choose_backend(other)
    assert choose_backend(CURRENT) == CURRENT


def test_notices_of_the_backend_are_hidden():
    code = "from keras_sam.cli import main; main()"
    command = [sys.executable, "-c", code, "info", "--backend", CURRENT]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_captured_stderr_is_printed_if_the_block_fails(capfd):
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


@pytest.mark.parametrize(
    ("policy", "expected", "spins"),
    [(None, "PASSIVE", "10000"), ("ACTIVE", "ACTIVE", None), ("PASSIVE", "PASSIVE", None)],
)
def test_idle_threads_of_torch_sleep_soon(nothing_configured, monkeypatch, policy, expected, spins):
    only_installed(monkeypatch, "torch")
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # restored after the test, whatever choose_backend sets
        monkeypatch.delenv(name)
    if policy is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    choose_backend()
    assert os.environ["OMP_WAIT_POLICY"] == expected
    assert os.environ.get("GOMP_SPINCOUNT") == spins


def test_help_does_not_import_keras():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from keras_sam.cli import app\n"
        "result = CliRunner().invoke(app, ['segment', '--help'])\n"
        "assert result.exit_code == 0, result.output\n"
        "sys.exit('keras' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
