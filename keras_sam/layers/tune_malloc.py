"""`tune_malloc`: keep freed memory in the process for the next arrays."""

import ctypes
import functools
import os
import platform

# Parameters of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 2**30


@functools.cache
def tune_malloc() -> bool:
    """Let the process keep up to 1 GiB of freed memory, on systems with glibc.

    By default, glibc returns each freed array of more than 32 MB to the system, which then
    clears every page of the next one. With PyTorch that takes half of the time of decoding many
    prompts. The setting applies to the whole process. It is skipped if the environment sets
    `MALLOC_MMAP_THRESHOLD_` or `MALLOC_TRIM_THRESHOLD_`, which glibc reads itself.

    Returns:
        True if the setting is active.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    if {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"} & set(os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    results = [mallopt(name, KEPT_BYTES) for name in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD)]
    return all(results)
