import pytest

from keras_sam.batch.image_result import ErrorInfo, one_line
from tests.batch.sample_results import good_result


def test_error_info_has_the_class_and_the_message_of_an_exception():
    assert ErrorInfo.from_exception(KeyError("a\nb")) == ErrorInfo("KeyError", r"'a\nb'")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("one", "one"),
        ("two\n  lines\t", "two lines"),
        ("", "ValueError"),
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 497 + "..."),
    ],
)
def test_one_line(message, expected):
    assert one_line(ValueError(message)) == expected


def test_nbytes_grows_with_the_masks():
    assert good_result("a", num_masks=2).nbytes > good_result("a", num_masks=0).nbytes > 0
