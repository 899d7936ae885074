"""`MatrixProduct`: the machine's rate of matrix products, the upper bound of every encoder."""

from typing import Any

import numpy as np

from benchmarks.implementations.device import require_gpu
from benchmarks.implementations.implementation import (
    Implementation,
    ModelFiles,
    Settings,
    UnsupportedError,
)

# Rows, depth and columns. On a CPU, the first layer of an MLP of ViT-B: 4096 tokens, 768 to 3072
# channels. A GPU needs larger matrices to reach its rate.
SHAPES = {"cpu": (4096, 768, 3072), "cuda": (16384, 5120, 5120)}


def product_gflop(device: str) -> float:
    """Return the work of one product. A multiplication and an addition are two operations."""
    rows, depth, columns = SHAPES[device]
    return 2 * rows * depth * columns / 1e9


class MatrixProduct(Implementation):
    """A product of two matrices by PyTorch. It only has `encode`."""

    def prepare(self, files: ModelFiles, settings: Settings) -> None:
        import torch

        torch.set_num_threads(settings.threads)
        if settings.device != "cpu":
            require_gpu("torch")
        rows, depth, columns = SHAPES[settings.device]
        torch.manual_seed(0)
        options = {"device": settings.device, "dtype": getattr(torch, settings.dtype)}
        self.left = torch.randn(rows, depth, **options)
        self.right = torch.randn(columns, depth, **options)  # transposed, as in a dense layer

    def images_to_inputs(self, images: np.ndarray) -> Any:
        return None

    def encode(self, inputs: Any) -> Any:
        import torch

        with torch.inference_mode():
            product = torch.nn.functional.linear(self.left, self.right)
        if product.is_cuda:
            torch.cuda.synchronize()
        return product

    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        return embedding[:1, :1].float().cpu().numpy()

    def set_image(self, image: np.ndarray) -> None:
        raise UnsupportedError("a matrix product has no images")

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise UnsupportedError("a matrix product has no prompts")
