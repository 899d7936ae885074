"""`write_plot`: how many times longer the others take, as bars."""

from pathlib import Path
from typing import Any

OURS, THEIRS = "#3b6fb6", "#b9b9b9"


def write_plot(file: Path, results: list[dict[str, Any]]) -> bool:
    """A panel for each job, a bar for each contender that ran; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    shown = [(figures, _bars(figures)) for figures in results]
    shown = [(figures, bars) for figures, bars in shown if bars]
    if not shown:
        return False
    heights = [len(bars) + 1.5 for _, bars in shown]
    figure = Figure(figsize=(9, 0.32 * sum(heights) + 0.5), layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)
    for panel, (figures, bars) in zip(panels[:, 0], shown, strict=True):
        _draw(panel, figures, bars)
    figure.savefig(file, dpi=150)
    return True


def _bars(figures: dict[str, Any]) -> list[dict[str, Any]]:
    ran = [contender for contender in figures["contenders"] if contender["ratio"]]
    return sorted(ran, key=lambda contender: contender["ratio"]["median"], reverse=True)


def _draw(panel: Any, figures: dict[str, Any], bars: list[dict[str, Any]]) -> None:
    ratios = [bar["ratio"] for bar in bars]
    medians = [ratio["median"] for ratio in ratios]
    spread = [
        [ratio["median"] - ratio["low"] for ratio in ratios],
        [ratio["high"] - ratio["median"] for ratio in ratios],
    ]
    names = [_label(bar) for bar in bars]
    colors = [OURS if bar["name"].startswith("ours") else THEIRS for bar in bars]
    drawn = panel.barh(names, medians, xerr=spread, color=colors, ecolor="#444444")
    panel.bar_label(drawn, [f" {median:.2f}" for median in medians], padding=4, fontsize=8)
    panel.axvline(1, color="#444444", linewidth=0.8)
    panel.margins(x=0.12)
    panel.spines[["top", "right"]].set_visible(False)
    side = figures["image_size"]
    panel.set_title(
        f"{figures['text']} ({figures['size']}, {side} x {side}, {figures['dtype']})",
        loc="left",
        fontsize=9,
    )
    panel.set_xlabel(f"time, times that of {figures['baseline']}", fontsize=8)
    panel.tick_params(labelsize=8)


def _label(bar: dict[str, Any]) -> str:
    agreement = bar["agreement"]
    return bar["name"] if agreement is None or agreement["agrees"] else f"{bar['name']} (wrong)"
