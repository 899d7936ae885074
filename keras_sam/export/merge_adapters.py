"""`merge_adapters`: a model whose LoRA adapters are part of its kernels."""

from keras_sam.models.lora import adapted_layers
from keras_sam.models.preset_loading import checkpoint_to_backbone, model_to_checkpoint
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter


def merge_adapters(model: SAMImageSegmenter) -> SAMImageSegmenter:
    """Return a model without LoRA adapters and with the same outputs.

    Args:
        model: Segmenter. It is returned itself if it has no adapters.
    """
    if not adapted_layers(model):
        return model
    backbone = checkpoint_to_backbone(model_to_checkpoint(model), dtype=model.dtype_policy)
    return SAMImageSegmenter(backbone, preprocessor=model.preprocessor, name=model.name)
