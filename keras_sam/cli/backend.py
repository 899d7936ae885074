"""`choose_backend`: which backend Keras runs on, settled before Keras is imported."""

import hashlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

# Each is also the name of its package.
BACKENDS = ("jax", "torch", "tensorflow", "openvino")
# In the order in which an installed one is taken: the fastest first (docs/performance.md). OpenVINO
# is the fastest without a graphics card, and does not train.
FASTEST_ON_CPU = ("openvino", "torch", "jax", "tensorflow")
FASTEST_ON_GPU = ("torch", "jax", "tensorflow", "openvino")
TRAIN = ("jax", "torch", "tensorflow")


def choose_backend(requested: str | None = None, *, trains: bool = False) -> str:
    """Settles Keras' backend and sets `KERAS_BACKEND` to it.

    What is asked for goes first, then `KERAS_BACKEND`, then Keras' own configuration file if the
    backend in it is installed, then the fastest of those that are installed. `tensorflow` in the
    configuration is no choice of anybody: Keras writes it there by itself.

    Args:
        requested: one of `BACKENDS`; None leaves the choice to the rule above.
        trains: whether a backend is wanted that trains, as OpenVINO does not.

    Returns:
        The backend's name.

    Raises:
        ValueError: if the backend is unknown or not installed, if none is installed, or if Keras
            is already running on another one.
    """
    backend = (
        requested or os.environ.get("KERAS_BACKEND") or _configured(trains) or _fastest(trains)
    )
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
    if backend == "jax":
        _keep_compiled_programs()
    if backend == "torch":
        # Its idle threads would spin. Where another program keeps the processors busy, that took
        # an image of `evaluate` from half a second to 40.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if backend == "tensorflow" and running is None:
        with capture_stderr():  # no log level silences what it says about missing GPUs
            import_module("tensorflow").config.list_physical_devices()
    return backend


@contextmanager
def capture_stderr() -> Iterator[None]:
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


def _configured(trains: bool) -> str | None:
    """The backend of Keras' configuration file, if somebody chose it and it is installed."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    try:
        backend = json.loads(Path(home, "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return None  # Keras ignores a file that it cannot read, too
    chosen = [name for name in (TRAIN if trains else BACKENDS) if name != "tensorflow"]
    return backend if backend in chosen and find_spec(backend) else None


def _fastest(trains: bool) -> str:
    order = FASTEST_ON_GPU if _has_graphics_card() else FASTEST_ON_CPU
    for backend in order:
        if find_spec(backend) is not None and (backend in TRAIN or not trains):
            return backend
    raise ValueError("no backend is installed; run: pip install 'keras-sam[jax]'")


def _has_graphics_card() -> bool:
    """Whether the driver of an NVIDIA card runs; asking a backend would take seconds."""
    return Path("/dev/nvidiactl").exists()


def _keep_compiled_programs() -> None:
    """Lets JAX keep what it compiles for later processes, unless the environment says where.

    What is compiled for one processor may not run on another that shares the directory.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    processor = hashlib.sha256(_processor().encode()).hexdigest()[:16]
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{cache}/keras-sam/jax-{processor}")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def _processor() -> str:
    """What the processors are, with their instructions where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return "\n".join([platform.machine(), platform.processor(), *sorted(told)])


def _running() -> str | None:
    """The backend that an imported Keras runs on."""
    keras = sys.modules.get("keras")
    return keras.config.backend() if keras is not None else None
