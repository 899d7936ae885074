"""`measure`: a job, its contenders taking turns in rounds."""

import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agreement import agreement
from benchmarks.contenders import OURS, Everything, ModelFiles
from benchmarks.contenders.known import MATRIX_PRODUCT
from benchmarks.contenders.matrix_product import product_gflop
from benchmarks.figures import contender_figures, spread
from benchmarks.member import Member, create_member
from benchmarks.other_load import OtherLoad
from benchmarks.plan import Job, Plan
from benchmarks.workloads import WORKLOADS
from benchmarks.write_models import RATING, TRAINED, encoder_gflop, model_of, write_model

# Of everything mode with random weights: what shares of prompts and of their masks pass.
PASSING_PROMPTS, PASSING_MASKS = 0.3, 0.5
MOST_STABLE = 0.95  # Meta's threshold
# The small trained model rates photographs low. With these it keeps about a hundred masks of one,
# as Meta's models do with theirs.
OF_TRAINED = Everything(points_per_side=32, pred_iou_thresh=0.35, stability_score_thresh=0.6)


def measure(job: Job, plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Runs a job and gives its figures, as the report has them.

    Args:
        job: what is done.
        plan: of the whole run.
        tell: is told what is going on.
    """
    files = write_model(
        job.size, plan.models, image_size=plan.image_size, with_meta=bool(plan.checkouts)
    )
    wanted = _wanted(job, plan, files)
    product_job = replace(job, workload=WORKLOADS["encoder"])
    product = Member(MATRIX_PRODUCT, product_job, plan, files, None)
    members = [create_member(name, job, plan, files, wanted) for name in plan.contenders]
    try:
        for member in (product, *members):
            tell(f"{job.name}: {member.name} prepares")
            member.open()
        expected = _expected(members, job, plan, files, wanted)
        load = OtherLoad(member.process_id for member in (product, *members) if member.process_id)
        _take_turns(job, plan, [product, *members], tell)
        others = load.share()
    finally:
        for member in (product, *members):
            member.close()
    figures = _figures(job, plan, files, members, product, expected)
    return figures | {"processors_of_others": others, "wanted": wanted and asdict(wanted)}


def _take_turns(job: Job, plan: Plan, members: list[Member], tell: Callable[[str], None]) -> None:
    """In each round each once, in an order of chance: whoever else uses the machine meets all."""
    chance = random.Random(0)
    for index in range(plan.rounds):
        tell(f"{job.name}: round {index + 1} of {plan.rounds}")
        order = [member for member in members if member.is_running]
        chance.shuffle(order)
        for member in order:
            member.turn()


def _expected(
    members: list[Member], job: Job, plan: Plan, files: ModelFiles, wanted: Everything | None
) -> Path | None:
    """The outputs of the reference in float32, of an extra run if no member is that."""
    for member in members:
        if member.name == plan.reference and job.dtype == "float32" and member.is_running:
            return member.outputs
    reference_plan = replace(plan, output=plan.output / "reference")
    reference = create_member(plan.reference, job.in_float32(), reference_plan, files, wanted)
    reference.open()
    reference.close()
    return reference.outputs if reference.is_running else None


def _wanted(job: Job, plan: Plan, files: ModelFiles) -> Everything | None:
    """Thresholds of everything mode, such that a realistic share of masks passes."""
    if job.workload.step != "everything":
        return None
    side = plan.points_per_side
    if job.size == TRAINED:
        return replace(OF_TRAINED, points_per_side=side)
    prompts = Job(job.size, WORKLOADS["prompts"], "float32")
    reference_plan = replace(plan, output=plan.output / "reference")
    member = create_member(plan.reference, prompts, reference_plan, files, None)
    member.open()
    member.close()
    if not member.is_running:
        return Everything(side, RATING, OF_TRAINED.stability_score_thresh)
    with np.load(member.outputs) as outputs:
        return Everything(side, *passing_thresholds(outputs["logits"], outputs["ratings"]))


def passing_thresholds(logits: np.ndarray, ratings: np.ndarray) -> tuple[float, float]:
    """Thresholds of rating and stability that the shares above pass.

    Args:
        logits: `(P, M, L, L)`.
        ratings: `(P, M)`.
    """
    rating = float(np.quantile(ratings.max(axis=1), 1 - PASSING_PROMPTS))
    inside, outside = ((logits > offset).sum(axis=(2, 3)) for offset in (1, -1))
    is_drawn = (ratings > rating) & (inside > 0)
    if not is_drawn.any():
        return rating, 0.0
    stability = (inside / np.maximum(outside, 1))[is_drawn]
    return rating, min(MOST_STABLE, float(np.quantile(stability, PASSING_MASKS)))


def _figures(
    job: Job,
    plan: Plan,
    files: ModelFiles,
    members: list[Member],
    product: Member,
    expected: Path | None,
) -> dict[str, Any]:
    rate = product_gflop(plan.device) / np.array(product.seconds) if product.seconds else None
    work = None
    if job.workload.step == "encode":
        work = job.workload.batch * encoder_gflop(model_of(job.size, plan.image_size))
    baseline = _baseline(members, plan)
    return {
        "workload": job.workload.name,
        "text": job.workload.text,
        "size": job.size,
        "image_size": files.image_size,
        "dtype": job.dtype,
        "batch": job.workload.batch,
        "device": plan.device,
        "threads": plan.threads,
        "gflop": work,
        "matrix_gflop_per_second": None if rate is None else spread(rate),
        "reference": plan.reference if expected else None,
        "baseline": baseline.name if baseline else None,
        "contenders": [
            contender_figures(
                member,
                baseline=baseline,
                product_seconds=product.seconds,
                product_work=product_gflop(plan.device),
                work=work,
                agreement=agreement(member.outputs, expected, dtype=member.precision)
                if expected and member.outputs.exists()
                else None,
            )
            for member in members
        ],
    }


def _baseline(members: list[Member], plan: Plan) -> Member | None:
    """What the others are compared with: what the plan says, else the first of ours, else any."""
    running = [member for member in members if member.is_running and member.seconds]
    running.sort(key=lambda m: (m.name != plan.baseline, not m.name.startswith(OURS)))
    return running[0] if running else None
