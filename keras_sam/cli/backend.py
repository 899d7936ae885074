"""`choose_backend`: selects Keras' backend before Keras is imported."""

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

# The name of a backend is also the name of its package.
BACKENDS = ("jax", "torch", "tensorflow", "openvino")
# Fastest first (docs/performance.md). OpenVINO is the fastest on a CPU, and does not train.
FASTEST_ON_CPU = ("openvino", "torch", "jax", "tensorflow")
FASTEST_ON_GPU = ("torch", "jax", "tensorflow", "openvino")
TRAINING_BACKENDS = ("jax", "torch", "tensorflow")


def choose_backend(requested: str | None = None, *, trains: bool = False) -> str:
    """Select Keras' backend and set `KERAS_BACKEND`.

    In order of priority: the requested backend; `KERAS_BACKEND`; the backend in Keras'
    configuration file, if it is installed; the fastest installed backend. `tensorflow` in the
    configuration file is ignored, since Keras writes it there by default.

    Args:
        requested: One of `BACKENDS`, or `None` for the rule above.
        trains: If True, only backends that can train are considered.

    Returns:
        Name of the backend.

    Raises:
        ValueError: If the backend is unknown or not installed, if none is installed, or if Keras
            already runs on another one.
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
    current = _current_backend()
    if current not in (None, backend):
        raise ValueError(f"Keras already runs on '{current}', so it cannot change to '{backend}'")
    os.environ["KERAS_BACKEND"] = backend
    if backend == "jax":
        _enable_compilation_cache()
    if backend == "torch" and "OMP_WAIT_POLICY" not in os.environ:
        # Idle threads of torch would spin. With other programs on the same cores, that slowed
        # `evaluate` from half a second per image to 40. Threads that sleep at once make decoding
        # slower by half, so they spin for the short time between two operations.
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if backend == "tensorflow" and current is None:
        with capture_stderr():  # no log level silences its messages about missing GPUs
            import_module("tensorflow").config.list_physical_devices()
    return backend


@contextmanager
def capture_stderr() -> Iterator[None]:
    """Capture stderr, including output of C++ code, and print it if the block fails."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(stderr, captured.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _configured(trains: bool) -> str | None:
    """Return the backend of Keras' configuration file, if a user chose it and it is installed."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    try:
        backend = json.loads(Path(home, "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return None  # Keras also ignores a file that it cannot read
    allowed = TRAINING_BACKENDS if trains else BACKENDS
    is_chosen = backend in allowed and backend != "tensorflow"
    return backend if is_chosen and find_spec(backend) else None


def _fastest(trains: bool) -> str:
    for backend in FASTEST_ON_GPU if _has_gpu() else FASTEST_ON_CPU:
        if find_spec(backend) is not None and (backend in TRAINING_BACKENDS or not trains):
            return backend
    raise ValueError("no backend is installed; run: pip install 'keras-sam[jax]'")


def _has_gpu() -> bool:
    """Return True if the driver of an NVIDIA GPU is running. A backend would take seconds."""
    return Path("/dev/nvidiactl").exists()


def _enable_compilation_cache() -> None:
    """Set JAX's persistent compilation cache, unless the environment already does.

    Programs are compiled for one type of CPU, so each type has its own directory.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    cpu = hashlib.sha256(_cpu_description().encode()).hexdigest()[:16]
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{cache}/keras-sam/jax-{cpu}")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def _cpu_description() -> str:
    """Return the CPU's model, with its instruction sets if the system lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    relevant = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return "\n".join([platform.machine(), platform.processor(), *sorted(relevant)])


def _current_backend() -> str | None:
    """Return the backend of Keras, if Keras has been imported."""
    keras = sys.modules.get("keras")
    return keras.config.backend() if keras is not None else None
