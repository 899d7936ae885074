import inspect

import pytest

from keras_sam import errors

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_has_the_common_base_class(cls):
    assert issubclass(cls, errors.KerasSAMError)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.CheckpointError, ValueError),
        (errors.TooManyPixelsError, errors.ImageError),
        (errors.RotatedImageError, errors.ImageError),
        (errors.ImageError, ValueError),
        (errors.WorkerDiedError, RuntimeError),
    ],
)
def test_errors_can_be_caught_as_builtin_exceptions(cls, builtin):
    with pytest.raises(builtin, match="a reason"):
        raise cls("a reason")
