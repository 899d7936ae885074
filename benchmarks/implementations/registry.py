"""`IMPLEMENTATIONS`: the table of implementations. A new one is a module and a row.

`--checkout NAME=PATH` adds one from another repository. PATH is a Python file, or a directory with
an `implementation.py`. The file defines a class `Implementation` that takes no arguments, with the
methods of `benchmarks.implementations.Implementation`. Its directory comes first on Python's module
path, so that it can import its repository.
"""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.implementations.implementation import Implementation
from benchmarks.implementations.keras_hub_sam import KerasHubSAM
from benchmarks.implementations.keras_sam import KerasSAM, KerasSAMInt8
from benchmarks.implementations.matrix_product import MatrixProduct
from benchmarks.implementations.onnx_sam import OnnxSAM
from benchmarks.implementations.openvino_sam import OpenvinoSAM
from benchmarks.implementations.transformers_sam import TransformersSAM

CHECKOUT_FILE = "implementation.py"
CHECKOUT_CLASS = "Implementation"
BACKENDS = ("openvino", "torch", "jax", "tensorflow")
TRANSFORMERS_PACKAGES = ("transformers", "torch")
MATRIX_PRODUCT = "matrix-product"


@dataclass(frozen=True)
class Entry:
    """One row of the table of implementations.

    Attributes:
        create: Function that creates the implementation. It imports its packages in `prepare`.
        backend: Keras backend, if it runs on Keras.
        packages: Packages whose versions are reported.
        is_ours: If True, this project is what it measures.
        converts: If True, `convert` is called first.
        precision: Precision of the computation if it is fixed. Empty for the requested dtype.
        is_default: If True, `compare` runs it unless implementations are named.
    """

    create: Callable[[], Any]
    backend: str = ""
    packages: tuple[str, ...] = ()
    is_ours: bool = False
    converts: bool = False
    precision: str = ""
    is_default: bool = True


IMPLEMENTATIONS: dict[str, Entry] = {
    **{
        f"keras-sam-{backend}": Entry(KerasSAM, backend, ("keras", backend), is_ours=True)
        for backend in BACKENDS
    },
    "keras-sam-openvino-int8": Entry(
        KerasSAMInt8,
        "openvino",
        ("keras", "nncf", "openvino"),
        is_ours=True,
        converts=True,
        precision="int8",
        is_default=False,
    ),
    "transformers-sdpa": Entry(TransformersSAM, packages=TRANSFORMERS_PACKAGES),
    "transformers-eager": Entry(lambda: TransformersSAM("eager"), packages=TRANSFORMERS_PACKAGES),
    "transformers-compile": Entry(
        lambda: TransformersSAM(is_compiled=True),
        packages=TRANSFORMERS_PACKAGES,
        is_default=False,  # meant for GPUs, see `benchmarks gpu`
    ),
    **{
        f"keras-hub-{backend}": Entry(KerasHubSAM, backend, ("keras-hub", "keras", backend))
        for backend in BACKENDS
    },
    "openvino": Entry(OpenvinoSAM, packages=("openvino", *TRANSFORMERS_PACKAGES), converts=True),
    "onnxruntime": Entry(OnnxSAM, packages=("onnxruntime", *TRANSFORMERS_PACKAGES), converts=True),
}


def find_entry(name: str, checkouts: Mapping[str, str]) -> Entry:
    """Return the row of an implementation.

    Args:
        name: Name in the table, or of a checkout, or `MATRIX_PRODUCT`.
        checkouts: Path of each checkout's file, by name.

    Raises:
        ValueError: If the name is unknown.
    """
    if name == MATRIX_PRODUCT:
        return Entry(MatrixProduct, packages=("torch",))
    if name in checkouts:
        return Entry(lambda: load_checkout(checkouts[name]), converts=True)
    if name not in IMPLEMENTATIONS:
        raise ValueError(
            f"no implementation {name!r}; expected one of {', '.join(IMPLEMENTATIONS)}"
        )
    return IMPLEMENTATIONS[name]


def create_implementation(name: str, checkouts: Mapping[str, str]) -> Implementation:
    """Create an implementation; see `find_entry`."""
    implementation: Implementation = find_entry(name, checkouts).create()
    return implementation


def find_checkout_file(path: str | Path) -> Path:
    """Return the file of a checkout, given the file or its directory.

    Raises:
        ValueError: If there is no such file.
    """
    path = Path(path).resolve()
    file = path / CHECKOUT_FILE if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"there is no file '{file}'")
    return file


def load_checkout(path: str | Path) -> Any:
    """Create the `Implementation` of a checkout.

    Raises:
        ValueError: If the file is missing, is not Python, or has no such class.
    """
    file = find_checkout_file(path)
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location("checkout_implementation", file)
    if spec is None or spec.loader is None:
        raise ValueError(f"'{file}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if not hasattr(module, CHECKOUT_CLASS):
        raise ValueError(f"'{file}' has no class {CHECKOUT_CLASS}")
    return getattr(module, CHECKOUT_CLASS)()
