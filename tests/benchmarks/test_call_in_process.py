import os
import subprocess

import pytest

from benchmarks.call_in_process import call_in_process


def test_result_comes_from_another_process():
    assert call_in_process(os.getpid, {}) != os.getpid()


def test_arguments_and_environment_are_passed():
    value = call_in_process(os.getenv, {"key": "NAME"}, environment={"NAME": "value"})
    assert value == "value"


def test_exception_raises():
    with pytest.raises(subprocess.CalledProcessError):
        call_in_process(os.listdir, {"path": "/missing"})
