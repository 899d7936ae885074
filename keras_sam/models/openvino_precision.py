"""`float32_inference`: OpenVINO programs in float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def float32_inference() -> Iterator[None]:
    """Programs that Keras' OpenVINO backend compiles meanwhile compute in float32.

    On a CPU with bfloat16 instructions OpenVINO would use those, and Keras gives no way to ask
    for another precision.
    """
    from unittest.mock import patch

    import openvino

    compile_model = openvino.compile_model

    def compile_in_float32(model: Any, device: str = "CPU", config: Any = None) -> Any:
        hint = {openvino.properties.hint.inference_precision: openvino.Type.f32}
        return compile_model(model, device, hint | (config or {}))

    with patch.object(openvino, "compile_model", compile_in_float32):
        yield
