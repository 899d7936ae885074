import os
import subprocess
import sys
import time

import pytest

from benchmarks.background_load import BackgroundLoad, process_cpu_seconds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
BUSY = "while True: pass"


def test_cpu_seconds_of_this_process():
    times = os.times()
    # The kernel counts in ticks of 10 ms.
    assert process_cpu_seconds(os.getpid()) == pytest.approx(times.user + times.system, abs=0.2)


def test_cpu_seconds_of_a_missing_process_are_zero():
    finished = subprocess.Popen([sys.executable, "-c", ""])
    finished.wait()
    assert process_cpu_seconds(finished.pid) == 0


def test_load_of_own_processes_is_excluded():
    """Both objects measure the same time, so other programs affect both results equally."""
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        try:
            own, other = BackgroundLoad([process.pid]), BackgroundLoad([])
            cpu_seconds = process_cpu_seconds(process.pid)
            start = time.monotonic()
            while (used := process_cpu_seconds(process.pid) - cpu_seconds) < 0.3:
                time.sleep(0.05)
            excluded, included = own.cores(), other.cores()
            seconds = time.monotonic() - start
        finally:
            process.kill()
    assert included - excluded == pytest.approx(used / seconds, rel=0.35)
