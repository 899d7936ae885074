"""`builtin_presets`: the presets that have a name."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PresetInfo:
    """Metadata of a built-in preset.

    Attributes:
        description: One sentence about the model.
        parameters: Number of values in its weights.
        license: License of the weights.
        source: Authors of the weights, and the publication or the training data.
        class_name: Class of the model.
        handle: Address of the weights, `kaggle://...` or `hf://...`, or their directory in this
            package.
        inference_config: Name of the inference settings, "sam" or "medsam". `None` if the files
            of the preset contain them.
    """

    description: str
    parameters: int
    license: str
    source: str
    class_name: str
    handle: str
    inference_config: str | None = "sam"


# keras-hub's table of presets swaps the parameter counts of the last two.
KERAS_HUB = {
    "sam_base_sa1b": ("base", "ViT-B", 93_735_728),
    "sam_large_sa1b": ("large", "ViT-L", 312_343_088),
    "sam_huge_sa1b": ("huge", "ViT-H", 641_090_864),
}
META = "Meta AI; arXiv 2304.02643"
MEDSAM = "Jun Ma and others; Nature Communications 2024, arXiv 2304.12306"
SLIM = "Zigeng Chen and others; arXiv 2312.05284"
HQ = "Lei Ke and others; arXiv 2306.01567"
# Repositories of Hugging Face in the format of transformers: parameters, source, description.
HUGGING_FACE = {
    "sam_vit_base": ("facebook/sam-vit-base", 93_735_728, META, "The base SAM model"),
    "sam_vit_large": ("facebook/sam-vit-large", 312_343_088, META, "The large SAM model"),
    "sam_vit_huge": ("facebook/sam-vit-huge", 641_090_864, META, "The huge SAM model"),
    "sam_hq_vit_base": ("syscv-community/sam-hq-vit-base", 94_806_832, HQ, "The base SAM-HQ model"),
    "sam_hq_vit_large": (
        "syscv-community/sam-hq-vit-large",
        313_676_336,
        HQ,
        "The large SAM-HQ model",
    ),
    "sam_hq_vit_huge": (
        "syscv-community/sam-hq-vit-huge",
        642_686_256,
        HQ,
        "The huge SAM-HQ model",
    ),
    "medsam": (
        "wanglab/medsam-vit-base",
        93_735_728,
        MEDSAM,
        "SAM for medical images, prompted by boxes",
    ),
    "slimsam_50": ("Zigeng/SlimSAM-uniform-50", 27_962_032, SLIM, "SAM pruned to half its width"),
    "slimsam_77": (
        "Zigeng/SlimSAM-uniform-77",
        9_723_784,
        SLIM,
        "SAM pruned to a quarter of its width",
    ),
}
# Settings that replace those in a repository: MedSAM's repository contains a copy of SAM's.
INFERENCE_CONFIGS = {"medsam": "medsam"}
TINY = "sam_tiny_synthetic"


def builtin_presets() -> dict[str, PresetInfo]:
    """Return the metadata of each built-in preset by name."""
    presets = {
        name: PresetInfo(
            description=f"The {size} SAM model ({encoder} image encoder), trained on SA-1B.",
            parameters=parameters,
            license="Apache-2.0",
            source="Meta AI, converted by the Keras team; arXiv 2304.02643",
            class_name="SAMBackbone",
            handle=f"kaggle://keras/sam/keras/{name}/5",
        )
        for name, (size, encoder, parameters) in KERAS_HUB.items()
    }
    presets |= {
        name: PresetInfo(
            description=f"{text}, from Hugging Face in the format of transformers.",
            parameters=parameters,
            license="Apache-2.0",
            source=source,
            class_name="SAMBackbone",
            handle=f"hf://{repository}",
            inference_config=INFERENCE_CONFIGS.get(name, "sam"),
        )
        for name, (repository, parameters, source, text) in HUGGING_FACE.items()
    }
    if is_shipped(TINY):
        presets[TINY] = PresetInfo(
            description="A tiny SAM model that ships in the package, for trying things out; "
            "trained on procedural scenes and nuclei.",
            parameters=_tiny_parameters(),
            license="Apache-2.0",
            source="this project, trained from scratch; nuclei and their labels from BBBC038 (CC0)",
            class_name="SAMBackbone",
            handle=str(preset_directory(TINY)),
            inference_config=None,
        )
    return presets


def builtin_inference_config(preset: str | Path) -> str | None:
    """Return the name of the inference settings of a built-in preset.

    Args:
        preset: Name or address. An address may have a revision.

    Returns:
        "sam" or "medsam", or `None` for other presets and for those whose files contain the
        settings.
    """
    address = str(preset).partition("@")[0]
    for name, info in builtin_presets().items():
        if isinstance(preset, str) and (preset == name or address == info.handle):
            return info.inference_config
    return None


def preset_directory(name: str) -> Path:
    """Return the directory in this package with the config of a preset, perhaps with weights."""
    return Path(__file__).resolve().parent.parent / "presets" / name


def is_shipped(name: str) -> bool:
    """Return True if the package contains the weights of a preset, not only its config."""
    return (preset_directory(name) / "metadata.json").is_file()


@functools.cache
def _tiny_parameters() -> int:
    metadata = json.loads((preset_directory(TINY) / "metadata.json").read_text(encoding="utf-8"))
    return int(metadata["parameter_count"])
