"""A training in one picture."""

from pathlib import Path


def draw(rows: list[dict], path: Path, quantised: int) -> None:
    """Losses above, what the checkpoint is chosen by below; a line where int8 begins."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True)
    steps = [row["step"] for row in rows]
    for name, label in (("yes", "the word"), ("no", "all else")):
        top.plot(steps, [row[name] for row in rows], label=label)
    top.set(ylabel="loss", yscale="log")
    for name in (name for name in rows[0] if name.startswith("misses")):
        bottom.plot(steps, [100 * row[name] for row in rows], label=name)
    bottom.plot(steps, [100 * row["chosen_by"] for row in rows], "k--", label="chosen by")
    bottom.set(ylabel="%", xlabel="step", ylim=(0, None))
    for axes in (top, bottom):
        axes.axvline(quantised, color="grey", linewidth=0.8)
        axes.legend(fontsize="small")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
