"""Memory that is freed and allocated again, in subprocesses, since the setting is global."""

import os
import platform
import subprocess
import sys

# Page faults of an array of 64 MB. The second array has hardly any if the memory was kept.
MEASURE = """
import resource
import numpy as np
from keras_sam.layers.tune_malloc import tune_malloc
kept = {call}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(2**26, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, faults(), faults())
"""


def measure(call: str, **environment: str) -> tuple[str, int, int]:
    run = subprocess.run(
        [sys.executable, "-c", MEASURE.format(call=call)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    kept, first, second = run.stdout.split()
    return kept, int(first), int(second)


def test_memory_is_kept():
    is_glibc = platform.libc_ver()[0] == "glibc"
    kept, first, second = measure("tune_malloc()")
    assert kept == str(is_glibc)
    if is_glibc:
        assert second < first / 4


def test_settings_of_the_environment_take_precedence():
    kept, _, second = measure("tune_malloc()", MALLOC_MMAP_THRESHOLD_="100000")
    assert kept == "False"
    assert second > 0
