"""`load_contender`: the class `Contender` of a file of another repository.

`--checkout NAME=PATH` tells the file, or a directory with a `contender.py`. The file defines a
class `Contender` with the methods of `benchmarks.contenders.Contender`, of which it may be a
subclass; it is made without arguments. Its directory is the first where Python looks for modules,
so that it can import the repository that it lies in. It gets the same weights as all others, in
three forms: `files.keras`, `files.transformers` and `files.meta`, the last as Meta's code reads it.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

FILE = "contender.py"
CLASS = "Contender"


def load_contender(place: str | Path) -> Any:
    """A `Contender` of a file, or of a directory's `contender.py`.

    Raises:
        ValueError: if there is no such file, or no such class in it.
    """
    file = contender_file(place)
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location("checkout_contender", file)
    if spec is None or spec.loader is None:
        raise ValueError(f"'{file}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = getattr(module, CLASS, None)
    if found is None:
        raise ValueError(f"'{file}' has no class {CLASS}")
    return found()


def contender_file(place: str | Path) -> Path:
    """The file that a checkout takes part by."""
    place = Path(place).resolve()
    file = place / FILE if place.is_dir() else place
    if not file.is_file():
        raise ValueError(f"there is no file '{file}'")
    return file
