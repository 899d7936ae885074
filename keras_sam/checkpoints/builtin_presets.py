"""`builtin_presets`: the presets that are known by name."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PresetInfo:
    """What is known of a built-in preset.

    Attributes:
        description: one sentence.
        parameters: the number of values in its weights.
        license: of the weights.
        source: who made the weights, and from what.
        class_name: class of the model it holds.
        handle: where the weights are: `kaggle://...`, `hf://...`, or the directory in this
            package.
        preprocessing: how images are prepared, by name; `None` where the preset's files tell.
    """

    description: str
    parameters: int
    license: str
    source: str
    class_name: str
    handle: str
    preprocessing: str | None = "sam"


# The published table of keras-hub swaps the parameter counts of the last two.
SA1B = {
    "sam_base_sa1b": ("base", "ViT-B", 93_735_728),
    "sam_large_sa1b": ("large", "ViT-L", 312_343_088),
    "sam_huge_sa1b": ("huge", "ViT-H", 641_090_864),
}
# Repositories of Hugging Face in the format of transformers: parameters, makers, description.
META = "Meta AI; arXiv 2304.02643"
MEDSAM = "Jun Ma and others; Nature Communications 2024, arXiv 2304.12306"
SLIM = "Zigeng Chen and others; arXiv 2312.05284"
HQ = "Lei Ke and others; arXiv 2306.01567"
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
        "SAM for medical images, prompted by boxes alone",
    ),
    "slimsam_50": ("Zigeng/SlimSAM-uniform-50", 27_962_032, SLIM, "SAM pruned to half its width"),
    "slimsam_77": ("Zigeng/SlimSAM-uniform-77", 9_723_784, SLIM, "SAM pruned to a quarter"),
}
# Whose preprocessing is not SAM's, whatever their repository says: MedSAM's has a copy of SAM's.
PREPROCESSING = {"medsam": "medsam"}
TINY = "sam_tiny_synthetic"


@functools.cache
def _tiny_parameters() -> int:
    metadata = json.loads((preset_directory(TINY) / "metadata.json").read_text(encoding="utf-8"))
    return int(metadata["parameter_count"])


def builtin_presets() -> dict[str, PresetInfo]:
    """Name to description, parameters, license, source and class of each built-in preset."""
    presets = {
        name: PresetInfo(
            description=f"The {size} SAM model ({encoder} image encoder), trained on SA-1B.",
            parameters=parameters,
            license="Apache-2.0",
            source="Meta AI, converted by the Keras team; arXiv 2304.02643",
            class_name="SAMBackbone",
            handle=f"kaggle://keras/sam/keras/{name}/5",
        )
        for name, (size, encoder, parameters) in SA1B.items()
    }
    presets |= {
        name: PresetInfo(
            description=f"{text}, as Hugging Face has it for transformers.",
            parameters=parameters,
            license="Apache-2.0",
            source=source,
            class_name="SAMBackbone",
            handle=f"hf://{repository}",
            preprocessing=PREPROCESSING.get(name, "sam"),
        )
        for name, (repository, parameters, source, text) in HUGGING_FACE.items()
    }
    if is_shipped(TINY):
        presets[TINY] = PresetInfo(
            description="A tiny SAM model that ships in the package, for trying out; trained on "
            "procedural scenes and nuclei.",
            parameters=_tiny_parameters(),
            license="Apache-2.0",
            source="this project, from nothing; labels of others: nuclei of BBBC038 (CC0)",
            class_name="SAMBackbone",
            handle=str(preset_directory(TINY)),
            preprocessing=None,
        )
    return presets


def builtin_preprocessing(preset: str | Path) -> str | None:
    """The preprocessing of a built-in preset, given by name or address.

    `None` for others, and for those whose files tell.
    """
    address = str(preset).partition("@")[0]
    for name, info in builtin_presets().items():
        if isinstance(preset, str) and (preset == name or address == info.handle):
            return info.preprocessing
    return None


def preset_directory(name: str) -> Path:
    """The directory in this package of a built-in preset: its config, perhaps its weights."""
    return Path(__file__).resolve().parent.parent / "presets" / name


def is_shipped(name: str) -> bool:
    """Whether the package holds the preset's weights, not only its config."""
    return (preset_directory(name) / "metadata.json").is_file()
