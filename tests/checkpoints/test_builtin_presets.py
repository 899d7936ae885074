from keras_sam.checkpoints.architectures.sam import count_parameters
from keras_sam.checkpoints.builtin_presets import builtin_presets
from keras_sam.checkpoints.read_checkpoint import read_checkpoint


def test_parameter_counts_follow_from_the_configs():
    for name, info in builtin_presets().items():
        checkpoint = read_checkpoint(name, load_weights=False)
        assert checkpoint.class_name == info.class_name
        assert count_parameters(checkpoint.class_name, checkpoint.config) == info.parameters
