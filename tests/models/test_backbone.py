"""Loading a backbone whose class is in its preset."""

import pytest

from keras_sam.models.backbone import Backbone
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.tiny_vit_backbone import TinyViTBackbone
from keras_sam.models.vit_det_backbone import ViTDetBackbone
from tests.checkpoints.mobile_sam import ENCODER as TINY_VIT

CLASSES = (SAMBackbone, ViTDetBackbone, TinyViTBackbone)


@pytest.fixture(scope="module")
def presets(backbone, tmp_path_factory):
    """The directory of a preset of each class."""
    models = (backbone, backbone.image_encoder, TinyViTBackbone(**TINY_VIT))
    directory = tmp_path_factory.mktemp("presets")
    for model in models:
        model.save_to_preset(directory / type(model).__name__)
    return directory


@pytest.mark.parametrize("cls", CLASSES)
def test_the_class_is_found_in_the_preset(presets, cls):
    loaded = Backbone.from_preset(presets / cls.__name__, load_weights=False)
    assert type(loaded) is cls
    assert isinstance(loaded, Backbone)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_subclass_loads_only_its_own_presets(presets, cls):
    for other in CLASSES:
        preset = presets / other.__name__
        if other is cls:
            assert type(cls.from_preset(preset, load_weights=False)) is cls
        else:
            with pytest.raises(ValueError, match=f"contains a {other.__name__}, which"):
                cls.from_preset(preset, load_weights=False)


def test_arguments_of_the_class_replace_those_of_the_preset(presets):
    preset = presets / "ViTDetBackbone"
    loaded = Backbone.from_preset(preset, load_weights=False, window_size=2)
    assert [block.window_size for block in loaded.blocks] == [2, 0]
