"""The picture of `./run bench individual --plot`. Measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from benchmarks.individual import Row


def bars(rows: Sequence[Row], path: Path) -> None:
    """CPU share of a core a participant, by number of participants, one colour a recorder (log scale)."""
    counts = sorted({row.participants for row in rows})
    names = list(dict.fromkeys(row.recorder for row in rows))
    width = 0.8 / len(names)
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for place, name in enumerate(names):
        found = {row.participants: row.cpu_percent for row in rows if row.recorder == name}
        spots = [index + place * width for index in range(len(counts))]
        drawn = axes.bar(spots, [found.get(count, 0) for count in counts], width, label=name)
        axes.bar_label(drawn, fmt="%.2f %%", fontsize=8)
    axes.set_yscale("log")
    axes.set_xticks([index + 0.4 - width / 2 for index in range(len(counts))], [str(count) for count in counts])
    axes.set_xlabel("participants, 720p30 H.264 1.5 Mbit/s and Opus, copied")
    axes.set_ylabel("% of a core a participant")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=150)
