"""`call_in_process`: a function in a Python process of its own, for clean measurements."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

CODE = """
import json, sys
from {module} import {name}
print(json.dumps({name}(**json.loads(sys.argv[1]))))
"""


def call_in_process(
    function: Callable[..., dict[str, Any]],
    arguments: dict[str, Any],
    *,
    environment: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Call a function in a new Python process and return its result.

    Args:
        function: Function of a module. What it prints is dropped.
        arguments: Keyword arguments, plain values.
        environment: Variables to set in the process, in addition to those of this one.

    Raises:
        subprocess.CalledProcessError: If the function fails. Its traceback goes to stderr.
    """
    code = CODE.format(module=function.__module__, name=function.__name__)
    finished = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | (environment or {}),
    )
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result
