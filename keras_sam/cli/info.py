"""`keras-sam info`: what is installed, and what a command would run on."""

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
    """Shows versions, the backend, its engine and devices, the presets, and the shipped model."""
    result = _facts(choose_backend(backend))
    if as_json:
        print_json(result)
        return
    lines = result | _model_lines(result["model"])
    width = max(len(name) for name in lines)
    for name, value in lines.items():
        text = ", ".join(value) if isinstance(value, list) else value
        typer.echo(f"{name:<{width}}  {text}")


def _facts(backend: str) -> dict[str, Any]:
    from keras_sam.checkpoints.builtin_presets import builtin_presets
    from keras_sam.engines.engine import engine_class

    return {
        "keras-sam": version("keras-sam"),
        "keras": version("keras"),
        "backend": backend,
        backend: version(backend),
        "engine": engine_class().__name__,
        "devices": _devices(backend),
        "python": platform.python_version(),
        "presets": list(builtin_presets()),
        "model": _model(),
    }


def _model() -> dict[str, Any]:
    """The model that commands use if none is named: its size and what it cannot do."""
    from keras_sam.checkpoints.builtin_presets import builtin_presets
    from keras_sam.checkpoints.read_checkpoint import read_checkpoint

    config = read_checkpoint(DEFAULT_PRESET, load_weights=False).config
    height, width = config["image_encoder"]["config"]["image_shape"][:2]
    return {
        "preset": DEFAULT_PRESET,
        "parameters": builtin_presets()[DEFAULT_PRESET].parameters,
        "image_size": [height, width],
        "limits": "for trying out: outlines are coarse, small and thin things are lost; "
        "where masks have to be right, load sam_vit_base or a larger one (keras-sam presets)",
    }


def _model_lines(model: dict[str, Any]) -> dict[str, str]:
    height, width = model["image_size"]
    size = f"{model['parameters']:,} parameters, sees images at {width} x {height}"
    return {"model": f"{model['preset']}, {size}", "limits": model["limits"]}


def _devices(backend: str) -> list[str]:
    """What the backend computes on, in its own words."""
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
