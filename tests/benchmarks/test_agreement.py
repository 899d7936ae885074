import numpy as np
import pytest

from benchmarks.agreement import measure_agreement, relative_difference, unmatched_fraction


def pack(*masks):
    return np.stack([np.packbits(mask) for mask in masks])


def square(start, stop):
    mask = np.zeros((40, 40), bool)
    mask[start:stop, start:stop] = True
    return mask


def test_relative_difference_is_relative_to_expected_values():
    expected = np.array([3.0, -3.0])
    assert relative_difference(expected + 0.3, expected) == pytest.approx(0.1)


@pytest.mark.parametrize("actual", [np.array([np.nan, 0]), np.array([3.0])])
def test_nan_and_other_shapes_differ_infinitely(actual):
    assert relative_difference(actual, np.array([3.0, -3.0])) == np.inf


def test_unmatched_fraction_ignores_order():
    masks = pack(square(0, 20), square(10, 39))
    assert unmatched_fraction(masks, masks[::-1]) == 0


def test_unmatched_fraction_is_the_larger_of_both_sets():
    one, two = pack(square(0, 20)), pack(square(0, 20), square(10, 39))
    assert unmatched_fraction(one, two) == 0.5
    assert unmatched_fraction(two, one) == 0.5


@pytest.mark.parametrize(("stop", "expected"), [(19, 0), (18, 1)])  # IoU 0.9025 and 0.81
def test_masks_match_above_an_iou_of_09(stop, expected):
    assert unmatched_fraction(pack(square(0, stop)), pack(square(0, 20))) == expected


def test_unmatched_fraction_without_masks():
    empty = np.zeros((0, 1), np.uint8)
    assert unmatched_fraction(empty, empty) == 0
    assert unmatched_fraction(empty, pack(square(0, 20))) == 1


def test_lower_precision_may_differ_more(tmp_path):
    expected = np.linspace(-1, 1, 100, dtype=np.float32)
    files = tmp_path / "outputs.npz", tmp_path / "reference.npz"
    np.savez(files[0], low_res_logits=expected * 1.01)
    np.savez(files[1], low_res_logits=expected)
    assert not measure_agreement(*files, precision="float32").agrees
    assert measure_agreement(*files, precision="bfloat16").agrees


def test_agreement_of_automatic_masks_has_their_number(tmp_path):
    file = tmp_path / "masks.npz"
    np.savez(file, masks=pack(square(0, 20), square(10, 39)))
    agreement = measure_agreement(file, file, precision="float32")
    assert agreement.agrees
    assert (agreement.difference, agreement.num_masks) == (0, 2)
