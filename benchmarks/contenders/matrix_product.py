"""`MatrixProduct`: the rate that nothing on the machine exceeds, measured beside the others."""

from typing import Any

import numpy as np

from benchmarks.contenders.contender import Contender, ModelFiles, Setting, UnsupportedError
from benchmarks.contenders.graphics_card import require_card

# The first layer of an MLP of ViT-B: 4096 tokens, 768 to 3072. A graphics card wants more work.
SIZES = {"cpu": (4096, 768, 3072), "cuda": (16384, 5120, 5120)}


def product_gflop(device: str) -> float:
    """The work of a product: two operations for each multiplication and addition."""
    rows, depth, columns = SIZES[device]
    return 2 * rows * depth * columns / 1e9


class MatrixProduct(Contender):
    """A product of two matrices by PyTorch; of a contender it has `encode`."""

    def prepare(self, files: ModelFiles, setting: Setting) -> None:
        import torch

        torch.set_num_threads(setting.threads)
        if setting.device != "cpu":
            require_card("torch")
        rows, depth, columns = SIZES[setting.device]
        torch.manual_seed(0)
        place = {"device": setting.device, "dtype": getattr(torch, setting.dtype)}
        self.left = torch.randn(rows, depth, **place)
        self.right = torch.randn(columns, depth, **place)  # as a dense layer has it

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
        raise UnsupportedError("a product of matrices segments nothing")

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise UnsupportedError("a product of matrices segments nothing")
