"""`keras-sam info`: what is installed, and what a command would run on."""

import platform
from importlib.metadata import version
from typing import Any

import typer

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import BackendOption, JsonOption, one_sentence_errors, print_json


@one_sentence_errors
def info_command(backend: BackendOption = None, as_json: JsonOption = False) -> None:
    """Shows versions, the backend and its devices, and the presets."""
    result = _facts(choose_backend(backend))
    if as_json:
        print_json(result)
        return
    width = max(len(name) for name in result)
    for name, value in result.items():
        text = ", ".join(value) if isinstance(value, list) else value
        typer.echo(f"{name:<{width}}  {text}")


def _facts(backend: str) -> dict[str, Any]:
    from keras_sam.checkpoints import builtin_presets

    return {
        "keras-sam": version("keras-sam"),
        "keras": version("keras"),
        "backend": backend,
        backend: version(backend),
        "devices": _devices(backend),
        "python": platform.python_version(),
        "presets": list(builtin_presets()),
    }


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
