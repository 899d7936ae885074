"""Parts of batches: together they are the batch, filled to a multiple of the devices."""

import pytest

from keras_sam.train.batch_part import BatchPart


@pytest.mark.parametrize("devices", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_parts_together_are_the_filled_batch(devices, count):
    batch = range(10, 10 + count)
    rows, padding = BatchPart(devices).rows(batch)
    assert rows == [*batch, *[10] * padding]
    assert len(rows) % devices == 0
    assert padding < devices
    parts = [BatchPart(devices, device).rows(batch) for device in range(devices)]
    assert [row for part, _ in parts for row in part] == rows
    assert len({len(part) for part, _ in parts}) == 1
    assert sum(filled for _, filled in parts) == padding
    kept = [row for part, filled in parts for row in part[: len(part) - filled]]
    assert kept == list(batch)


def test_batches_that_cannot_be_divided_raise():
    BatchPart(2, 0).check(4)
    with pytest.raises(ValueError, match="multiple of the number of devices, 2, got 3"):
        BatchPart(2, 0).check(3)
