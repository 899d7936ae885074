from keras_sam.checkpoints import builtin_presets, read_checkpoint
from keras_sam.checkpoints.expected_shapes import count_parameters


def test_parameter_counts_follow_from_the_configs():
    for name, info in builtin_presets().items():
        checkpoint = read_checkpoint(name, load_weights=False)
        assert checkpoint.class_name == info.class_name
        assert count_parameters(checkpoint.class_name, checkpoint.config) == info.parameters
