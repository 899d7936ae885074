"""`keras-sam info`: versions, the selected backend and the built-in presets."""

import platform
from importlib.metadata import version
from typing import Any

import typer

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import (
    DEFAULT_PRESET,
    BackendOption,
    JsonOption,
    print_json,
    report_user_errors,
)


@report_user_errors
def info_command(backend: BackendOption = None, as_json: JsonOption = False) -> None:
    """Show versions, the backend with its engine and devices, and the presets."""
    result = _collect(choose_backend(backend))
    if as_json:
        print_json(result)
        return
    lines = result | _model_lines(result["model"])
    width = max(len(name) for name in lines)
    for name, value in lines.items():
        text = ", ".join(value) if isinstance(value, list) else value
        typer.echo(f"{name:<{width}}  {text}")


def _collect(backend: str) -> dict[str, Any]:
    from keras_sam.checkpoints.builtin_presets import builtin_presets
    from keras_sam.engines.create_engine import engine_name

    return {
        "keras-sam": version("keras-sam"),
        "keras": version("keras"),
        "backend": backend,
        backend: version(backend),
        "engine": engine_name(),
        "devices": _devices(backend),
        "python": platform.python_version(),
        "presets": list(builtin_presets()),
        "model": _default_model(),
    }


def _default_model() -> dict[str, Any]:
    """Return the size and the limits of the model that commands use by default."""
    from keras_sam.checkpoints.builtin_presets import builtin_presets
    from keras_sam.checkpoints.read_checkpoint import read_checkpoint

    config = read_checkpoint(DEFAULT_PRESET, load_weights=False).config
    height, width = config["image_encoder"]["config"]["image_shape"][:2]
    return {
        "preset": DEFAULT_PRESET,
        "parameters": builtin_presets()[DEFAULT_PRESET].parameters,
        "image_size": [height, width],
        "limits": "for trying out: boundaries are coarse, and small or thin objects are lost; "
        "for accurate masks, use sam_vit_base or a larger preset (keras-sam presets)",
    }


def _model_lines(model: dict[str, Any]) -> dict[str, str]:
    height, width = model["image_size"]
    size = f"{model['parameters']:,} parameters, input size {width} x {height}"
    return {"model": f"{model['preset']}, {size}", "limits": model["limits"]}


def _devices(backend: str) -> list[str]:
    """Return the names of the backend's devices."""
    if backend == "jax":
        import jax

        return [str(device) for device in jax.devices()]
    if backend == "torch":
        import torch

        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return [*names, "cpu"]
    if backend == "tensorflow":
        import tensorflow

        return [device.name for device in tensorflow.config.list_physical_devices()]
    import openvino

    return list(openvino.Core().available_devices)
