"""`CONTENDERS`: the implementations that are known by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders.checkout import load_contender
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.keras_hub_sam import KerasHubSAM
from benchmarks.contenders.matrix_product import MatrixProduct
from benchmarks.contenders.onnx_sam import OnnxSAM
from benchmarks.contenders.openvino_sam import OpenvinoSAM
from benchmarks.contenders.ours import Ours, OursInt8
from benchmarks.contenders.transformers_sam import TransformersSAM


@dataclass(frozen=True)
class Entry:
    """A known implementation.

    Attributes:
        create: makes it; what it needs is imported when it is prepared.
        backend: of Keras, if it runs on Keras.
        packages: whose versions the report tells.
        converts: whether it has to convert the model first.
        precision: that it computes in, whatever is asked for; if empty what is asked for.
    """

    create: Callable[[], Any]
    backend: str = ""
    packages: tuple[str, ...] = ()
    converts: bool = False
    precision: str = ""


OURS = "ours-"
BACKENDS = ("openvino", "torch", "jax", "tensorflow")
TRANSFORMERS = ("transformers", "torch")

CONTENDERS: dict[str, Entry] = {
    **{f"{OURS}{name}": Entry(Ours, name, ("keras", name)) for name in BACKENDS},
    f"{OURS}openvino-int8": Entry(
        OursInt8, "openvino", ("keras", "nncf", "openvino"), converts=True, precision="int8"
    ),
    "transformers-sdpa": Entry(TransformersSAM, packages=TRANSFORMERS),
    "transformers-eager": Entry(lambda: TransformersSAM("eager"), packages=TRANSFORMERS),
    "transformers-compile": Entry(lambda: TransformersSAM(is_compiled=True), packages=TRANSFORMERS),
    **{
        f"keras-hub-{name}": Entry(KerasHubSAM, name, ("keras-hub", "keras", name))
        for name in BACKENDS
    },
    "openvino": Entry(OpenvinoSAM, packages=("openvino", *TRANSFORMERS), converts=True),
    "onnxruntime": Entry(OnnxSAM, packages=("onnxruntime", *TRANSFORMERS), converts=True),
}
MATRIX_PRODUCT = "matrix-product"


def entry_for(name: str, checkouts: dict[str, str]) -> Entry:
    """What a name stands for.

    Raises:
        ValueError: for a name that is unknown.
    """
    if name == MATRIX_PRODUCT:
        return Entry(MatrixProduct, packages=("torch",))
    if name in checkouts:
        return Entry(lambda: load_contender(checkouts[name]), converts=True)
    if name not in CONTENDERS:
        raise ValueError(f"no contender {name!r}; there are {', '.join(CONTENDERS)}")
    return CONTENDERS[name]


def create_contender(name: str, checkouts: dict[str, str]) -> Contender:
    """The implementation of a name."""
    contender: Contender = entry_for(name, checkouts).create()
    return contender
