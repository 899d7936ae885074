"""`worker_environment`: environment variables of processes that have a model."""

# Each library reads the number of threads from another variable.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NPROC",  # XLA
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def worker_environment(*, threads: int | None, backend: str | None) -> dict[str, str]:
    """Return environment variables that must be set before Keras is imported.

    Args:
        threads: Number of compute threads, or `None` for the default of each library.
        backend: Name of the Keras backend, or `None` for the default of Keras.
    """
    variables = {"OMP_WAIT_POLICY": "PASSIVE"}  # idle threads would spin and occupy a core
    if threads is not None:
        variables |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    if backend is not None:
        variables["KERAS_BACKEND"] = backend
    return variables
