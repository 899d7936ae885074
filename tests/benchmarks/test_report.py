import io
import json

import pytest
from rich.console import Console

from benchmarks.report import print_job, write_report

SPREAD = {"median": 1.23456, "low": 1.1, "high": 1.4}


def job(*participants, **changes):
    values = {
        "workload": "encoder",
        "description": "image encoder",
        "model_size": "base",
        "image_size": 1024,
        "dtype": "float32",
        "batch_size": 4,
        "device": "cpu",
        "threads": 2,
        "gflop": 942.0,
        "matrix_gflop_per_second": {"median": 99.6, "low": 99, "high": 101},
        "background_cores": 0.0,
        "baseline": "keras-sam-torch",
        "participants": list(participants),
    }
    return values | changes


def participant(**changes):
    values = {
        "name": "other",
        "is_ours": False,
        "status": "ran",
        "reason": "",
        "seconds": SPREAD,
        "ratio": SPREAD,
        "matrix_fraction": {"median": 0.5},
        "memory": {"before": 1, "peak": 3 * 2**20},
        "agreement": {"difference": 0.002, "agrees": True, "num_masks": None},
    }
    return values | changes


def print_to_text(results):
    file = io.StringIO()
    print_job(results, Console(file=file, width=200))
    return file.getvalue()


def test_row_of_an_encoder():
    text = print_to_text(job(participant()))
    for cell in ("1.23", "3.24", "1.23 [1.10, 1.40]", "50%", "3 MiB", "2.0e-03"):
        assert f" {cell} " in text
    assert "matrix products 100 GFLOP/s" in text
    assert "time / keras-sam-torch" in text


def test_row_of_automatic_masks_has_their_number():
    agreement = {"difference": 0.04, "agrees": True, "num_masks": 50}
    text = print_to_text(job(participant(agreement=agreement), gflop=None))
    assert "4% of 50 masks" in text
    assert "images/s" not in text


@pytest.mark.parametrize("status", ["failed", "unsupported"])
def test_row_without_times_has_the_reason(status):
    text = print_to_text(job(participant(status=status, reason="no GPU", seconds=None)))
    assert f"{status}: no GPU" in text


def test_wrong_outputs_are_marked():
    agreement = {"difference": 0.5, "agrees": False, "num_masks": None}
    assert "WRONG: 5.0e-01" in print_to_text(job(participant(agreement=agreement)))


def test_title_has_notable_background_load_only():
    assert "other programs used 0.5 cores" in print_to_text(job(background_cores=0.5))
    assert "other programs" not in print_to_text(job(background_cores=0.05))


def test_report_files_contain_all_jobs(tmp_path):
    report = {"machine": {}, "settings": {}, "results": [job(participant()), job()]}
    write_report(tmp_path, report)
    assert json.loads((tmp_path / "results.json").read_text()) == report
    assert (tmp_path / "results.txt").read_text().count("image encoder") == 2
