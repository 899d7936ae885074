import numpy as np
import pytest
import typer

from benchmarks.automatic_masks import iou_quantile, parse_run


def test_parse_run():
    assert parse_run("32@4000x3000") == (32, [4000, 3000])


@pytest.mark.parametrize("run", ["32", "32@4000", "x@1x1", "32@4000x3000x3"])
def test_malformed_run_raises(run):
    with pytest.raises(typer.BadParameter, match="expected POINTS@WIDTHxHEIGHT"):
        parse_run(run)


def test_iou_quantile_of_points_within_the_image():
    class Predictor:
        original_size = (30, 60)

        def predict_low_res(self, points, labels):
            assert ((points > 0) & (points < (60, 30))).all()
            assert labels.shape == points.shape[:2]
            return None, np.linspace(0, 1, 3 * len(points)).reshape(-1, 3)

    assert iou_quantile(Predictor(), 0.75) == pytest.approx(0.75)
