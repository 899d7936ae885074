"""`PeakMemory`: the most memory of this process since a moment."""

import contextlib
import resource
import sys
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"


class PeakMemory:
    """Counts from when it is made.

    Where Linux lets it, the peak of the resident set starts anew; elsewhere it is that of the whole
    process. On a graphics card it is what PyTorch or JAX held of it.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        with contextlib.suppress(OSError):
            CLEAR.write_text(RESET_PEAK)
        self.before = resident_bytes("VmRSS")
        if device == "cuda" and (torch := _loaded("torch")):
            torch.cuda.reset_peak_memory_stats()

    def figures(self) -> dict[str, int]:
        """Bytes: of the process at the start and at most, and at most of the graphics card."""
        found = {"before": self.before, "peak": resident_bytes("VmHWM")}
        if self.device == "cuda":
            found["device_peak"] = _device_peak()
        return found


def resident_bytes(field: str) -> int:
    """Bytes of a field of this process' status, such as `VmRSS`."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for line in lines:
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no field {field}")


def _device_peak() -> int:
    peaks = [0]
    if torch := _loaded("torch"):
        peaks.append(torch.cuda.max_memory_allocated())
    if jax := _loaded("jax"):
        peaks += [(d.memory_stats() or {}).get("peak_bytes_in_use", 0) for d in jax.local_devices()]
    return max(peaks)


def _loaded(module: str) -> Any:
    return sys.modules.get(module)
