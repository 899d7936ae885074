import os
import subprocess
import sys

from keras_sam.batch.worker_environment import worker_environment


def test_environment_limits_threads():
    code = (
        "import numpy, scipy.linalg; from threadpoolctl import threadpool_info; "
        "print(sorted({library['num_threads'] for library in threadpool_info()}))"
    )
    environment = os.environ | worker_environment(threads=1, backend=None)
    output = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[1]"


def test_environment_sets_only_what_is_given():
    names = set(worker_environment(threads=None, backend=None))
    assert names == {"OMP_WAIT_POLICY"}
    assert worker_environment(threads=None, backend="jax")["KERAS_BACKEND"] == "jax"
