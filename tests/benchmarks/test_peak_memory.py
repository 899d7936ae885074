import mmap
import sys
import time

import pytest

from benchmarks.peak_memory import PeakMemory, SampledPeak, resident_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SIZE = 64 * 2**20


def new_pages() -> mmap.mmap:
    """Memory from the system; that of an array may be left from an earlier one."""
    pages = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.write(b"\1" * SIZE)
    return pages


def test_peak_includes_memory_that_was_freed():
    memory = PeakMemory()
    new_pages().close()
    measured = memory.measure()
    assert measured["peak"] - measured["before"] > 0.9 * SIZE


def test_sampled_peak_includes_memory_that_was_freed():
    before = resident_bytes("RssAnon")
    with SampledPeak("RssAnon") as peak, new_pages():
        time.sleep(0.2)
    assert peak.bytes - before > 0.9 * SIZE


def test_unknown_field_raises():
    with pytest.raises(ValueError, match="has no field 'Missing'"):
        resident_bytes("Missing")
