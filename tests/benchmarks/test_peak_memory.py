import sys
import time

import numpy as np
import pytest

from benchmarks.peak_memory import PeakMemory, SampledPeak, resident_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SIZE = 64 * 2**20


def test_peak_includes_memory_that_was_freed():
    memory = PeakMemory()
    np.ones(SIZE, np.uint8)
    measured = memory.measure()
    assert measured["peak"] - measured["before"] > 0.9 * SIZE


def test_sampled_peak_includes_memory_that_was_freed():
    before = resident_bytes("RssAnon")
    with SampledPeak("RssAnon") as peak:
        array = np.ones(SIZE, np.uint8)
        time.sleep(0.2)
        del array
    assert peak.bytes - before > 0.9 * SIZE


def test_unknown_field_raises():
    with pytest.raises(ValueError, match="has no field 'Missing'"):
        resident_bytes("Missing")
