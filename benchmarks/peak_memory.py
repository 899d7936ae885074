"""`PeakMemory`, `SampledPeak`: the largest memory of this process during a measurement."""

import contextlib
import resource
import sys
import threading
from pathlib import Path
from typing import Any, Self

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # resets VmHWM; see proc(5)
SAMPLE_SECONDS = 0.005


class PeakMemory:
    """Peak of the resident set since this object was created.

    On Linux the kernel's own peak is reset. Elsewhere the peak is that of the whole process.

    Args:
        device: "cpu" or "cuda". With "cuda", the peak of GPU memory that PyTorch or JAX
            allocated is measured as well.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        with contextlib.suppress(OSError):
            CLEAR_REFS.write_text(RESET_PEAK)
        self.before = resident_bytes("VmRSS")
        if device == "cuda" and (torch := _imported("torch")):
            torch.cuda.reset_peak_memory_stats()

    def measure(self) -> dict[str, int]:
        """Return `before` and `peak` in bytes, and `gpu_peak` with "cuda"."""
        memory = {"before": self.before, "peak": resident_bytes("VmHWM")}
        if self.device == "cuda":
            memory["gpu_peak"] = _gpu_peak()
        return memory


class SampledPeak:
    """Largest value of one field of this process's status while the block runs, by sampling.

    Fields other than `VmHWM` have no peak in the kernel.

    Args:
        field: Field of `/proc/self/status`, such as "RssAnon".
    """

    def __init__(self, field: str) -> None:
        self.field = field
        self.bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self.bytes = max(self.bytes, resident_bytes(self.field))


def resident_bytes(field: str) -> int:
    """Return one field of this process's status in bytes, such as `VmRSS`.

    Without `/proc`, the result is the peak of the resident set, whatever the field.

    Raises:
        ValueError: If there is no such field.
    """
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for line in lines:
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"{STATUS} has no field {field!r}")


def _gpu_peak() -> int:
    peaks = [0]
    if torch := _imported("torch"):
        peaks.append(torch.cuda.max_memory_allocated())
    if jax := _imported("jax"):
        peaks += [(d.memory_stats() or {}).get("peak_bytes_in_use", 0) for d in jax.local_devices()]
    return max(peaks)


def _imported(module: str) -> Any:
    return sys.modules.get(module)
