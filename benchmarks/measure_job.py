"""`measure_job`: one workload, run by all participants in rounds."""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.background_load import BackgroundLoad
from benchmarks.generator_options import find_generator_options
from benchmarks.implementations import GeneratorOptions, ModelFiles
from benchmarks.implementations.registry import MATRIX_PRODUCT
from benchmarks.metrics import job_metrics
from benchmarks.participant import Participant, create_participant
from benchmarks.plan import Job, Plan
from benchmarks.workloads import WORKLOADS
from benchmarks.write_model import write_model


def measure_job(job: Job, plan: Plan, log: Callable[[str], None]) -> dict[str, Any]:
    """Run a job and return its results, as the report contains them.

    Args:
        job: Job.
        plan: Settings of the comparison.
        log: Function called with a line of text before each step.
    """
    files = write_model(
        job.model_size, plan.models, image_size=plan.image_size, with_meta=bool(plan.checkouts)
    )
    options = find_generator_options(job, plan, files)
    # The matrix product takes part in the same rounds, so both rates are of the same time.
    product_job = replace(job, workload=WORKLOADS["encoder"])
    product = Participant(MATRIX_PRODUCT, product_job, plan, files)
    participants = [
        create_participant(name, job, plan, files, options) for name in plan.implementations
    ]
    everyone = [product, *participants]
    try:
        for participant in everyone:
            log(f"{job.name}: preparing {participant.name}")
            participant.open()
        reference_outputs = _reference_outputs(participants, job, plan, files, options)
        load = BackgroundLoad(one.process_id for one in everyone if one.process_id)
        _run_rounds(job, plan, everyone, log)
        background_cores = load.cores()
    finally:
        for participant in everyone:
            participant.close()
    metrics = job_metrics(job, plan, files, participants, product.seconds, reference_outputs)
    return metrics | {
        "background_cores": background_cores,
        "generator_options": options and asdict(options),
    }


def _run_rounds(
    job: Job, plan: Plan, participants: Sequence[Participant], log: Callable[[str], None]
) -> None:
    """Run each participant once per round, in random order, so that other load affects all."""
    rng = random.Random(0)
    for index in range(plan.rounds):
        log(f"{job.name}: round {index + 1} of {plan.rounds}")
        order = [participant for participant in participants if participant.is_running]
        rng.shuffle(order)
        for participant in order:
            participant.run()


def _reference_outputs(
    participants: Sequence[Participant],
    job: Job,
    plan: Plan,
    files: ModelFiles,
    options: GeneratorOptions | None,
) -> Path | None:
    """Return the float32 outputs of the reference. If no participant has them, run it once."""
    for participant in participants:
        is_reference = participant.name == plan.reference and job.dtype == "float32"
        if is_reference and participant.is_running:
            return participant.outputs
    float32_job = replace(job, dtype="float32")
    reference = create_participant(
        plan.reference, float32_job, plan.for_reference(), files, options
    )
    reference.open()
    reference.close()
    return reference.outputs if reference.is_running else None
