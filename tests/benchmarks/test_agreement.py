import numpy as np
import pytest

from benchmarks.agreement import agreement, missing_share, relative_difference


def packed(*masks):
    return np.stack([np.packbits(mask) for mask in masks])


def square(start, stop):
    mask = np.zeros((40, 40), bool)
    mask[start:stop, start:stop] = True
    return mask


def test_the_difference_is_a_share_of_the_size():
    expected = np.array([3.0, -3.0])
    assert relative_difference(expected + 0.3, expected) == pytest.approx(0.1)
    assert relative_difference(np.array([np.nan, 0]), expected) == np.inf
    assert relative_difference(expected[:1], expected) == np.inf


def test_masks_match_whatever_their_order():
    left = packed(square(0, 20), square(10, 39))
    assert missing_share(left, left[::-1]) == 0
    assert missing_share(packed(square(0, 20)), left) == 0.5
    assert missing_share(left, packed(square(0, 20))) == 0.5
    assert missing_share(packed(square(0, 19)), packed(square(0, 20))) == 0  # IoU 0.9025
    assert missing_share(packed(square(0, 18)), packed(square(0, 20))) == 1  # IoU 0.81


def test_nothing_found():
    nothing = np.zeros((0, 1), np.uint8)
    assert missing_share(nothing, nothing) == 0
    assert missing_share(nothing, packed(square(0, 20))) == 1


def test_bfloat16_may_differ_more(tmp_path):
    expected = np.linspace(-1, 1, 100, dtype=np.float32)
    np.savez(tmp_path / "right.npz", logits=expected)
    np.savez(tmp_path / "left.npz", logits=expected * 1.01)
    files = tmp_path / "left.npz", tmp_path / "right.npz"
    assert not agreement(*files, dtype="float32").agrees
    assert agreement(*files, dtype="bfloat16").agrees
