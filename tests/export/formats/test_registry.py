from keras_sam.cli.export import BACKENDS
from keras_sam.export.formats.registry import EXPORT_FORMATS


def test_each_format_is_listed_by_its_name():
    assert list(EXPORT_FORMATS) == [
        *("onnx", "openvino", "litert", "savedmodel", "torch", "stablehlo"),
    ]
    assert all(name == format.name for name, format in EXPORT_FORMATS.items())


def test_command_selects_the_backend_of_the_format():
    assert {name: format.backend for name, format in EXPORT_FORMATS.items()} == BACKENDS
