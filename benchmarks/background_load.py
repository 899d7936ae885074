"""`BackgroundLoad`: CPU use of other programs during a measurement."""

import os
import resource
from collections.abc import Iterable
from pathlib import Path

IDLE_FIELDS = (3, 4)  # of the first line of /proc/stat: idle and iowait


class BackgroundLoad:
    """CPU cores that other programs used since this object was created. Linux only.

    Args:
        processes: IDs of processes that belong to the benchmark, besides this process and its
            children that have ended.
    """

    def __init__(self, processes: Iterable[int]) -> None:
        self.processes = tuple(processes)
        self.before = self._read_counters()

    def cores(self) -> float | None:
        """Return the average number of cores that others used, or `None` if it is unknown."""
        after = self._read_counters()
        if after is None or self.before is None:
            return None
        total, busy, own = (new - old for new, old in zip(after, self.before, strict=True))
        return max(0.0, (busy - own) / total * (os.cpu_count() or 1)) if total > 0 else 0.0

    def _read_counters(self) -> tuple[float, float, float] | None:
        """Return CPU seconds so far: of all cores, of busy cores, and of the benchmark."""
        try:
            fields = [int(field) for field in Path("/proc/stat").read_text().split()[1:9]]
        except (OSError, ValueError):
            return None
        ticks = os.sysconf("SC_CLK_TCK")
        total = sum(fields)
        busy = total - sum(fields[index] for index in IDLE_FIELDS)
        return total / ticks, busy / ticks, self._own_seconds()

    def _own_seconds(self) -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        finished = sum(usage.ru_utime + usage.ru_stime for usage in used)
        return finished + sum(map(process_cpu_seconds, self.processes))


def process_cpu_seconds(process: int) -> float:
    """Return the CPU seconds that a process has used so far, or 0 if it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
