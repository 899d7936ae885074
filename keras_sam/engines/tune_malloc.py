"""`tune_malloc`: the memory of arrays that are done with serves the next ones."""

import ctypes
import functools
import os
import platform

# Parameters of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 2**30


@functools.cache
def tune_malloc() -> bool:
    """Lets the process keep up to 1 GiB of freed memory, where it runs on glibc.

    By itself glibc hands each array of more than 32 MB back to the system when it is freed, which
    clears every page anew for the next: with PyTorch half of the time of decoding many prompts.
    What is set counts for the whole process, and is not set where the environment has values of its
    own, `MALLOC_MMAP_THRESHOLD_` or `MALLOC_TRIM_THRESHOLD_`; they are glibc's, which reads them
    itself.

    Returns:
        Whether it is so now.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    if {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"} & set(os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    results = [mallopt(name, KEPT_BYTES) for name in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD)]
    return all(results)
