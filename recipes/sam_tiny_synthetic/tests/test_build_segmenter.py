"""The architecture of the shipped preset."""

from keras_sam.models import SAMImageSegmenter
from recipes.sam_tiny_synthetic.build_segmenter import build_segmenter


def test_the_shipped_preset_has_this_architecture():
    preset = SAMImageSegmenter.from_preset("sam_tiny_synthetic")
    size = preset.backbone.image_shape[0]
    built = build_segmenter(size)
    assert [weight.shape for weight in built.weights] == [w.shape for w in preset.weights]
    heads = [
        [block.attention.num_heads for block in model.backbone.image_encoder.blocks]
        for model in (built, preset)
    ]
    assert heads[0] == heads[1]
