from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.implementations import ModelFiles
from benchmarks.implementations.matrix_product import product_gflop
from benchmarks.metrics import encoder_gflop, job_metrics, spread
from benchmarks.plan import Job, Plan
from benchmarks.random_checkpoint import random_checkpoint
from benchmarks.workloads import WORKLOADS


def participant(name, seconds, **changes):
    values = {
        "name": name,
        "seconds": seconds,
        "is_running": True,
        "is_ours": name.startswith("keras-sam"),
        "status": "ran",
        "reason": "",
        "first_seconds": 9.0,
        "memory": {"peak": 1},
        "outputs": Path("/missing"),
        "precision": "float32",
    }
    return SimpleNamespace(**values | changes)


def measure(participants, baseline="", product_seconds=(1.0, 1.0, 1.0)):
    plan = Plan(
        implementations=(),
        workloads=(),
        model_sizes=(),
        dtypes=(),
        rounds=3,
        threads=1,
        output=Path(),
        models=Path(),
        baseline=baseline,
    )
    job = Job("tiny", WORKLOADS["encoder-4"], "float32")
    files = ModelFiles(Path(), 128)
    return job_metrics(job, plan, files, participants, product_seconds, None)


def test_ratios_are_computed_within_rounds():
    metrics = measure(
        [participant("other", [2.0, 8.0, 3.0]), participant("keras-sam-jax", [1.0, 2.0, 3.0])]
    )
    assert metrics["baseline"] == "keras-sam-jax"
    other, ours = metrics["participants"]
    assert other["seconds"]["median"] == 3
    assert other["ratio"] == {"median": 2, "low": 1.5, "high": 3}
    assert ours["ratio"]["median"] == 1


def test_baseline_of_the_plan_comes_first():
    participants = [participant("keras-sam-jax", [1.0]), participant("other", [2.0])]
    assert measure(participants, baseline="other", product_seconds=[1.0])["baseline"] == "other"


def test_failed_participant_is_no_baseline_and_has_no_times():
    failed = participant(
        "keras-sam-jax", [1.0], is_running=False, status="failed", reason="out of memory"
    )
    metrics = measure([failed, participant("other", [2.0, 2.0, 2.0])])
    assert metrics["baseline"] == "other"
    row = metrics["participants"][0]
    assert (row["status"], row["reason"]) == ("failed", "out of memory")
    assert row["seconds"] is row["ratio"] is row["matrix_fraction"] is None


def test_matrix_fraction_is_relative_to_the_product_of_the_same_round():
    metrics = measure([participant("keras-sam-jax", [1.0, 2.0, 4.0])], product_seconds=[1, 2, 4])
    expected = metrics["gflop"] / product_gflop("cpu")
    fraction = metrics["participants"][0]["matrix_fraction"]
    assert fraction["low"] == fraction["high"] == pytest.approx(expected)


def test_spread_is_median_and_quartiles():
    assert spread(np.arange(5.0)) == {"median": 2, "low": 1, "high": 3}


@pytest.mark.parametrize(("size", "gflop"), [("base", 942), ("large", 2851), ("huge", 5666)])
def test_work_of_the_encoders(size, gflop):
    config = random_checkpoint(size).config["image_encoder"]["config"]
    assert round(encoder_gflop(config)) == gflop


def test_work_of_an_encoder_by_counting_each_product():
    """One windowed and one global layer, without padding: 4 x 4 tokens in windows of 2 x 2."""
    config = {
        "image_shape": [32, 32, 3],
        "patch_size": 8,
        "hidden_size": 6,
        "num_layers": 2,
        "intermediate_dim": 10,
        "global_attention_layer_indices": [1],
        "window_size": 2,
        "num_output_channels": 5,
    }
    tokens, width = 16, 6
    work = tokens * 8 * 8 * 3 * width  # patch embedding
    for keys, side in ((4, 2), (16, 4)):  # keys of a token, and side of its window
        work += 4 * tokens * width * width  # query, key, value and output
        work += 2 * tokens * keys * width  # logits and weighted sum
        work += tokens * 2 * side * width  # position terms of rows and columns
        work += 2 * tokens * width * 10  # MLP
    work += tokens * width * 5 + tokens * 9 * 5 * 5  # neck
    assert encoder_gflop(config) == pytest.approx(2 * work / 1e9)
