"""`TorchEngine`: inference mode of PyTorch, with traced decoding."""

from typing import Any

from keras_sam.engines.engine import Engine, StepFn


class TorchEngine(Engine):
    """Runs steps eagerly in inference mode.

    Decoding consists of hundreds of small operations, and the Python code of the layers takes
    longer than the operations. It is traced when it is called a second time.
    """

    @property
    def is_on_cpu(self) -> bool:
        """True if the model's weights are on a CPU."""
        return bool(self.model.variables[0].value.device.type == "cpu")

    def _compile(self, name: str, step: StepFn, inputs: tuple[Any, ...]) -> StepFn:
        import torch

        return TracedStep(step) if name == "decode" else torch.inference_mode()(step)


class TracedStep:
    """A step that runs eagerly the first time and as a traced program afterwards.

    Tracing is slow, so it is deferred to the second call. The program uses the model's weights
    in place.
    """

    def __init__(self, step: StepFn) -> None:
        self._step = step
        self._program: StepFn | None = None
        self._is_new = True

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        """Run the step on tensors."""
        import torch
        from torch.fx.experimental.proxy_tensor import make_fx

        if self._program is None and not self._is_new:
            with torch.no_grad():
                graph = make_fx(self._step)(*inputs)
            graph.graph.eliminate_dead_code()
            graph.recompile()
            self._program = graph.forward
        self._is_new = False
        with torch.inference_mode():
            return (self._program or self._step)(*inputs)
