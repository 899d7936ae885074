import numpy as np

from benchmarks.docs_images import GAP, WHITE, join_column, join_row, resize_all


def test_row_has_gaps_and_white_below_smaller_images():
    black, gray = np.zeros((4, 6, 3), np.uint8), np.full((2, 3, 3), 99, np.uint8)
    row = join_row([black, gray])
    assert row.shape == (4, 6 + GAP + 3, 3)
    assert (row[:, :6] == 0).all()
    assert (row[:, 6:-3] == WHITE).all()
    assert (row[:2, -3:] == 99).all()
    assert (row[2:, -3:] == WHITE).all()


def test_column_is_a_transposed_row():
    images = [np.zeros((4, 6, 3), np.uint8), np.full((2, 3, 3), 99, np.uint8)]
    column = join_column(images)
    assert column.shape == (4 + GAP + 2, 6, 3)
    assert (column[-2:, :3] == 99).all()


def test_resizing_keeps_the_aspect_ratio():
    (resized,) = resize_all([np.zeros((40, 60, 3), np.uint8)], height=20)
    assert resized.shape == (20, 30, 3)
