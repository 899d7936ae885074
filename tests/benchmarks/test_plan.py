from pathlib import Path

from benchmarks.plan import Plan
from benchmarks.workloads import WORKLOADS


def test_jobs_are_all_combinations():
    jobs = list(create_plan("encoder", "point").jobs())
    assert len(jobs) == 8
    assert len({job.name for job in jobs}) == 8


def test_workload_with_its_own_model_size_runs_once_per_dtype():
    jobs = list(create_plan("automatic-trained").jobs())
    assert [(job.model_size, job.dtype) for job in jobs] == [
        ("trained", "float32"),
        ("trained", "bfloat16"),
    ]


def test_settings_have_the_numbers_of_the_workload():
    (job,) = (
        job for job in create_plan("points-64").jobs() if job.name == "points-64-base-float32"
    )
    settings = job.settings(create_plan("points-64"))
    assert (settings.num_prompts, settings.batch_size, settings.threads) == (64, 1, 3)


def create_plan(*workloads):
    return Plan(
        implementations=("keras-sam-torch",),
        workloads=tuple(WORKLOADS[name] for name in workloads),
        model_sizes=("base", "huge"),
        dtypes=("float32", "bfloat16"),
        rounds=1,
        threads=3,
        output=Path(),
        models=Path(),
    )
