from pathlib import Path

import pytest

from keras_sam.checkpoints import builtin_presets, read_checkpoint
from keras_sam.checkpoints.architectures.sam import count_parameters
from keras_sam.checkpoints.builtin_presets import builtin_inference_config


@pytest.mark.parametrize("name", builtin_presets())
def test_metadata_follow_from_the_config(name):
    info, checkpoint = builtin_presets()[name], read_checkpoint(name, load_weights=False)
    assert checkpoint.class_name == info.class_name
    assert count_parameters(checkpoint.class_name, checkpoint.config) == info.parameters


def test_medsam_has_its_own_settings_by_name_and_by_address():
    handle = builtin_presets()["medsam"].handle
    for preset in ("medsam", handle, f"{handle}@main"):
        assert builtin_inference_config(preset) == "medsam"
    assert builtin_inference_config("sam_vit_base") == "sam"
    assert builtin_inference_config("kaggle://keras/sam/keras/sam_base_sa1b/5") == "sam"


@pytest.mark.parametrize("preset", ["sam_tiny_synthetic", "hf://user/model", Path("medsam")])
def test_other_presets_store_their_settings_in_files(preset):
    assert builtin_inference_config(preset) is None
