"""Exports that several tests share, since one takes many seconds."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def meta_model():
    """The model whose export by Meta's code is recorded, see `record_meta_decoder.py`."""
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

    return SAMImageSegmenter.from_preset(FOLDER / "meta_decoder" / "model.safetensors")


@pytest.fixture(scope="session")
def onnx_export(meta_model, tmp_path_factory):
    """Directory and report of an ONNX export of `meta_model`. For the torch backend."""
    from keras_sam.export.export_model import export_model
    from keras_sam.export.options import ExportOptions

    directory = tmp_path_factory.mktemp("export") / "onnx"
    options = ExportOptions(weights="float32")
    return directory, export_model(meta_model, directory, options=options, name="meta")


@pytest.fixture
def meta_programs(meta_model):
    """Image encoder and mask decoder of `meta_model` in Meta's layout."""
    from keras_sam.export.layouts.registry import LAYOUTS
    from keras_sam.export.options import ExportOptions

    return LAYOUTS["meta"].build(meta_model, ExportOptions())


@pytest.fixture(scope="session")
def high_quality_segmenter():
    """A random SAM-HQ of 64 x 64 pixels."""
    from keras_sam.models.vit_det_backbone import ViTDetBackbone

    encoder = ViTDetBackbone(
        hidden_size=16,
        num_layers=2,
        intermediate_dim=24,
        num_heads=2,
        global_attention_layer_indices=[1],
        image_shape=(64, 64, 3),
        num_output_channels=16,
        window_size=3,
        output_early_feature=True,
    )
    return segmenter_of(encoder, early_feature_dim=16)


@pytest.fixture(scope="session")
def mobile_segmenter():
    """A random MobileSAM of small images."""
    from keras_sam.models.tiny_vit_backbone import TinyViTBackbone
    from tests.checkpoints.mobile_sam import ENCODER

    return segmenter_of(TinyViTBackbone(**ENCODER | {"image_shape": (64, 64, 3)}))


def segmenter_of(encoder, *, early_feature_dim=0):
    """Add random prompt encoder and mask decoder to an image encoder."""
    import numpy as np

    from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
    from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
    from keras_sam.models.sam_backbone import SAMBackbone
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

    width = encoder.num_output_channels
    prompts = SAMPromptEncoder(
        hidden_size=width,
        image_embedding_size=encoder.embedding_size,
        input_image_size=encoder.image_shape[:2],
        mask_in_channels=4,
    )
    decoder = SAMMaskDecoder(
        hidden_size=width,
        num_layers=1,
        intermediate_dim=24,
        num_heads=2,
        embedding_dim=width,
        iou_head_hidden_dim=8,
        early_feature_dim=early_feature_dim,
    )
    model = SAMImageSegmenter(SAMBackbone(encoder, prompts, decoder))
    random = np.random.default_rng(0)
    for weight in model.weights:
        values = random.normal(0, 0.3, weight.shape)
        weight.assign(np.abs(values).astype("float32") if "variance" in weight.path else values)
    return model
