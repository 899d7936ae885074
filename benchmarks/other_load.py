"""`OtherLoad`: how much of the processors others took, while the contenders ran."""

import os
import resource
from collections.abc import Iterable
from pathlib import Path

IDLE_FIELDS = (3, 4)  # of /proc/stat: idle, and waiting for disks


class OtherLoad:
    """Counts from when it is made; of Linux.

    Args:
        processes: ids of those that are ours, beside this process and its children that ended.
    """

    def __init__(self, processes: Iterable[int]) -> None:
        self.processes = tuple(processes)
        self.before = self._counts()

    def share(self) -> float | None:
        """The processors that others took on average; None where that is not known."""
        after = self._counts()
        if after is None or self.before is None:
            return None
        total, busy, own = (new - old for new, old in zip(after, self.before, strict=True))
        return max(0.0, (busy - own) / total * (os.cpu_count() or 1)) if total > 0 else 0.0

    def _counts(self) -> tuple[float, float, float] | None:
        """Seconds of all processors, of those busy, and of those that were busy with us."""
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
        ended = sum(usage.ru_utime + usage.ru_stime for usage in used)
        return ended + sum(map(processor_seconds, self.processes))


def processor_seconds(process: int) -> float:
    """What a process has taken so far; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
