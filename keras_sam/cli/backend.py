"""`choose_backend`: which backend Keras runs on, settled before Keras is imported."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

# In the order in which an installed one is taken. Each is also the name of its package.
BACKENDS = ("jax", "torch", "tensorflow", "openvino")


def choose_backend(requested: str | None = None) -> str:
    """Settles Keras' backend and sets `KERAS_BACKEND` to it.

    What is asked for goes first, then `KERAS_BACKEND`, then Keras' own configuration file if the
    backend in it is installed, then the first installed one of `BACKENDS`. Keras writes
    `tensorflow` to its configuration by itself, so that file alone would fail where only JAX is
    installed.

    Args:
        requested: one of `BACKENDS`; None leaves the choice to the rule above.

    Returns:
        The backend's name.

    Raises:
        ValueError: if the backend is unknown or not installed, if none is installed, or if Keras
            is already running on another one.
    """
    backend = requested or os.environ.get("KERAS_BACKEND") or _configured() or _first_installed()
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got '{backend}'")
    if find_spec(backend) is None:
        raise ValueError(
            f"backend '{backend}' is not installed; run: pip install 'keras-sam[{backend}]'"
        )
    running = _running()
    if running not in (None, backend):
        raise ValueError(f"Keras already runs on '{running}', so it cannot change to '{backend}'")
    os.environ["KERAS_BACKEND"] = backend
    if backend == "torch":
        # Its idle threads would spin. Where another program keeps the processors busy, that took
        # an image of `evaluate` from half a second to 40.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if backend == "tensorflow" and running is None:
        with stderr_unless_fine():  # no log level silences what it says about missing GPUs
            import_module("tensorflow").config.list_physical_devices()
    return backend


@contextmanager
def stderr_unless_fine() -> Iterator[None]:
    """Holds back what is written to stderr, also by C++, and shows it if the block fails."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _configured() -> str | None:
    """The backend of Keras' configuration file, if it is installed."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    try:
        backend = json.loads(Path(home, "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return None  # Keras ignores a file that it cannot read, too
    return backend if backend in BACKENDS and find_spec(backend) else None


def _first_installed() -> str:
    for backend in BACKENDS:
        if find_spec(backend) is not None:
            return backend
    raise ValueError("no backend is installed; run: pip install 'keras-sam[jax]'")


def _running() -> str | None:
    """The backend that an imported Keras runs on."""
    keras = sys.modules.get("keras")
    return keras.config.backend() if keras is not None else None
