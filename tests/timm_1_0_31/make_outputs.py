"""Records what timm's TinyViT gives, for tests that do not need timm.

    pip install timm==1.0.31 && python tests/timm_1_0_31/make_outputs.py

Each part has random weights, with batch norms that do something. Keys of the file are
`part/input`, `part/output` and `part/weights/<timm's name>`. The part `encoder` is the whole
image encoder of MobileSAM: timm's model with the last stride set to 1 and a neck behind it, its
weights under the names of MobileSAM.
"""

import re
from pathlib import Path

import numpy as np
import timm
import torch
from timm.models.tiny_vit import ConvNorm, MBConv, PatchEmbed, PatchMerging, TinyVit, TinyVitBlock
from torch import nn

VERSION = "1.0.31"
OUTPUTS = Path(__file__).with_name("outputs.npz")
GELU = nn.GELU
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# timm's name to that of MobileSAM; timm has the merging at the start of the next stage.
RULES = [
    (r"^patch_embed\.conv1", "patch_embed.seq.0"),
    (r"^patch_embed\.conv2", "patch_embed.seq.2"),
    (r"\.conv\.weight$", ".c.weight"),
    (r"^stages\.(\d)\.blocks", r"layers.\1.blocks"),
]


def randomized(module: nn.Module) -> nn.Module:
    """Weights, and statistics of batch norms, of a realistic scale."""
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(torch.rand_like(tensor) + 0.2)
        elif name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif tensor.ndim > 1 and not name.endswith("attention_biases"):
            tensor.copy_(torch.randn_like(tensor) * tensor[0].numel() ** -0.5)
        else:
            is_gain = re.search(r"(bn|norm|\.[13])\.weight$", name) is not None
            tensor.copy_(torch.randn_like(tensor) * 0.3 + float(is_gain))
    return module.eval()


def with_strides(merging: PatchMerging, strides: int) -> PatchMerging:
    merging.conv2.conv.stride = (strides, strides)
    return merging


class LayerNorm2d(nn.Module):
    """Over the channels, as SAM's neck has it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.movedim(1, -1)
        return nn.functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, 1e-6).movedim(
            -1, 1
        )


class Encoder(nn.Module):
    """The image encoder of MobileSAM, of tiny widths."""

    def __init__(self) -> None:
        super().__init__()
        self.body = TinyVit(
            num_classes=5,
            embed_dims=(8, 16, 20, 24),
            depths=(1, 1, 2, 1),
            num_heads=(0, 2, 5, 3),
            window_sizes=(0, 3, 4, 3),
        )
        with_strides(self.body.stages[3].downsample, 1)
        self.neck = nn.Sequential(
            nn.Conv2d(24, 32, 1, bias=False),
            LayerNorm2d(32),
            nn.Conv2d(32, 32, 3, padding=1, bias=False),
            LayerNorm2d(32),
        )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The embedding, and what enters the third stage."""
        pixels = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        x = self.body.patch_embed(pixels)
        for stage in self.body.stages[:2]:
            x = stage(x)
        early = self.body.stages[2].downsample(x)
        for stage in self.body.stages[2:]:
            x = stage(x)
        return self.neck(x), early


def mobile_sam_name(name: str) -> str:
    if not name.startswith("body."):
        return name
    name = name.removeprefix("body.")
    for pattern, replacement in RULES:
        name = re.sub(pattern, replacement, name)
    if merging := re.match(r"stages\.(\d)\.downsample\.(.*)", name):
        return f"layers.{int(merging[1]) - 1}.downsample.{merging[2]}"
    return name.replace("head.norm", "norm_head").replace("head.fc", "head")


PARTS = {
    "conv_norm": (ConvNorm(6, 10, 3, 2, 1), (2, 6, 7, 8)),
    "stem": (PatchEmbed(3, 8, GELU), (1, 3, 16, 24)),
    "mbconv": (MBConv(8, 8, 4, GELU, 0.0), (1, 8, 5, 6)),
    "merging": (PatchMerging(8, 12, GELU), (1, 8, 6, 10)),
    "merging_of_stride_1": (with_strides(PatchMerging(8, 12, GELU), 1), (1, 8, 5, 6)),
    "block_of_one_window": (TinyVitBlock(12, 3, 4, 2), (2, 4, 4, 12)),
    "block_of_padded_windows": (TinyVitBlock(12, 3, 4, 2), (2, 5, 7, 12)),
}


def channels_last(x: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(x.movedim(1, -1).numpy())


def record() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    arrays = {}
    for part, (module, shape) in PARTS.items():
        given = torch.randn(shape)
        found = randomized(module)(given)
        is_block = isinstance(module, TinyVitBlock)
        for key, value in (("input", given), ("output", found)):
            arrays[f"{part}/{key}"] = value.numpy() if is_block else channels_last(value)
        for name, tensor in module.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                arrays[f"{part}/weights/{name}"] = tensor.numpy()
    encoder = randomized(Encoder())
    images = torch.rand(1, 3, 64, 96)
    embedding, early = encoder(images)
    for key, value in (("input", images), ("output", embedding), ("early", early)):
        arrays[f"encoder/{key}"] = channels_last(value)
    for name, tensor in encoder.state_dict().items():
        arrays[f"encoder/weights/{mobile_sam_name(name)}"] = tensor.numpy()
    return arrays


if __name__ == "__main__":
    if timm.__version__ != VERSION:
        raise SystemExit(f"expected timm {VERSION}, found {timm.__version__}")
    with torch.no_grad():
        np.savez_compressed(OUTPUTS, **record())
