"""A judgement as a page to enjoy: one HTML file with everything in it, its pictures beside it, and result.json."""

import base64
import json
from collections.abc import Iterable
from html import escape
from pathlib import Path

from sourdine_training.evaluate import pictures, text
from sourdine_training.evaluate.result import RARE, RARE_HOURS, SHIPPED, Judged, Point, Rate, Result, Share, as_json
from sourdine_training.evaluate.text import number, percent

WORST = 12  # false accepts, or clips, that are named
CSS, METHOD = Path(__file__).with_name("page.css"), Path(__file__).with_name("method.html")


def write(result: Result, folder: Path) -> Path:
    """FOLDER/report.html, WORD-*.png and result.json; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(as_json(result), indent=1))
    drawn = {}
    for word in result.clips:
        by_day = pictures.draw(result, word, pictures.DAY)
        by_night = pictures.draw(result, word, pictures.NIGHT)
        for name, image in by_day.items():
            (folder / f"{word}-{name}.png").write_bytes(image)
            drawn[word, name] = _picture(image, by_night[name], f"{name}, {word}")
    page = folder / "report.html"
    page.write_text(html(result, drawn))
    return page


def html(result: Result, drawn: dict[tuple[str, str], str]) -> str:
    """The page. drawn: an element for each (word, picture)."""
    words = ", ".join(spoken(word) for word in result.clips)
    hours = sum(result.hours.values())
    count = len(result.judged)
    who = f"{count} {'detector' if count == 1 else 'detectors'} on the same recordings"
    heard = f"{sum(result.clips.values())} clips with the word in them, {hours:.1f} hours without"
    body = [f"<h1>How well they hear {escape(words)}</h1>", f'<p class="faint">{who}: {heard}.</p>']
    for word, clips in result.clips.items():
        body += _word(result, word, clips, drawn)
    body += ["<h2>How this was measured</h2>", *_method(result)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(words)}: a judgement</title><style>{CSS.read_text()}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def spoken(word: str) -> str:
    return f"“{word.replace('_', ' ')}”"


def _picture(day: bytes, night: bytes, name: str) -> str:
    light, dark = (f"data:image/png;base64,{base64.b64encode(image).decode()}" for image in (day, night))
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(name)}"></picture></figure>'
    )


def _word(result: Result, word: str, clips: int, drawn: dict[tuple[str, str], str]) -> list[str]:
    mine = [each for each in result.judged if each.word == word]
    day, night = pictures.DAY.of(mine), pictures.NIGHT.of(mine)
    out = []
    if len(result.clips) > 1:
        out += [f"<h2>{escape(spoken(word))}</h2>", f'<p class="faint">{clips} clips of people saying it.</p>']
    for each in mine:
        out.append(f'<div class="said" style="--day: {day[each.name]}; --night: {night[each.name]}">{_figures(each)}')
        out.append(f"<p>{escape(text.verdict(each, result))}</p></div>")
    out += [drawn[word, name] for name in ("misses", "det") if (word, name) in drawn]
    out += ["<h3>Misses</h3>", _misses(mine)]
    out += [drawn[word, "false"]] if (word, "false") in drawn else []
    out += ["<h3>False accepts an hour</h3>", _false(mine)]
    out += [drawn[word, "latency"]] if (word, "latency") in drawn else []
    out += ["<h3>What it costs</h3>", _costs(mine), "<h3>Where to listen</h3>"]
    out += [part for each in mine for part in _worst(each)]
    return out


def _figures(judged: Judged) -> str:
    label = "0.5" if "0.5" in judged.points else SHIPPED
    at = judged.points[label]
    figures = [(percent(at.misses[name].share), f"missed, {name}") for name in ("clean", "5 dB") if name in at.misses]
    figures.append((f"{at.false.per_hour:.2f}", "false accepts an hour"))
    if at.latencies:
        figures.append((f"{1000 * text.quantiles(at.latencies)[0]:.0f} ms", "late"))
    parts = "".join(f"<span><b>{escape(value)}</b>{escape(what)}</span>" for value, what in figures)
    return f'<strong>{escape(judged.name)}</strong><div class="big">{parts}</div>'


def table(head: Iterable[str], rows: Iterable[tuple[bool, list[str]]]) -> str:
    """rows: whether a group begins, and cells of finished HTML."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = []
    for first, cells in rows:
        row = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr class="first">{row}</tr>' if first else f"<tr>{row}</tr>")
    return f'<div class="wide"><table><tr>{top}</tr>{"".join(lines)}</table></div>'


def _misses(judged: list[Judged]) -> str:
    conditions = list(judged[0].points[SHIPPED].misses)
    rows = []
    for each in judged:
        for label, at in each.points.items():
            first = label == SHIPPED
            name = escape(each.name) if first else ""
            shares = [_share(share) for share in at.misses.values()]
            rows.append((first, [name, label, _threshold(each, at), *shares]))
    return table(["", "at", "threshold", *conditions], rows)


def _share(share: Share) -> str:
    if not share.of:
        return "–"
    return f"{percent(share.share)}<small>{number(share.count)}/{share.of}</small><small>{text.interval(share)}</small>"


def _rate(rate: Rate) -> str:
    return f"{rate.per_hour:.2f}<small>{number(rate.count)} in {text.duration(rate.hours)}</small><small>{rate.low:.2f} to {rate.high:.2f}</small>"


def _threshold(judged: Judged, at: Point) -> str:
    low, middle, high = at.thresholds
    spread = f"<small>{low:.2f} to {high:.2f}</small>" if low != high else f"<small>{escape(judged.unit)}</small>"
    never = f"<small>in {percent(at.never)} of halvings none</small>" if at.never else ""
    return f"{middle:.2f}{spread}{never}"


def _false(judged: list[Judged]) -> str:
    kinds = list(judged[0].points[SHIPPED].kinds)
    confusables = any(each.points[SHIPPED].confusables.of for each in judged)
    rows = []
    for each in judged:
        for label in (SHIPPED, "0.5"):
            if not (at := each.points.get(label)):
                continue
            cells = [_rate(at.kinds[kind]) for kind in kinds]
            cells += [_share(at.confusables)] if confusables else []
            first = label == SHIPPED
            rows.append((first, [escape(each.name) if first else "", label, _rate(at.false), *cells]))
    return table(["", "at", "all", *kinds, *(["near misses that woke it"] if confusables else [])], rows)


def _costs(judged: list[Judged]) -> str:
    rows = []
    for each in judged:
        costs = each.costs
        macs = "unknown" if costs.macs is None else f"{costs.macs / 1e6:,.2f} M"
        if costs.verifier_macs:
            macs += f"<small>and {costs.verifier_macs / 1e6:.2f} M each time the second stage is asked</small>"
        size, arena = ("unknown" if value is None else f"{value:,}" for value in (costs.bytes, costs.arena))
        late = "–"
        if (at := each.points.get("0.5", each.points[SHIPPED])).latencies:
            middle, most = text.quantiles(at.latencies)
            late = f"{1000 * middle:.0f} ms<small>95 % within {1000 * most:.0f} ms</small>"
        rows.append((True, [escape(each.name), late, size, arena, macs, f"{100 * costs.cpu:.2f} %"]))
    head = ["", "late", "bytes", "bytes of arena", "multiplications a second", "of a core here"]
    return table(head, rows)


def _worst(judged: Judged) -> list[str]:
    label = "0.5" if "0.5" in judged.points else SHIPPED
    at = judged.points[label]
    heard = [
        f"<li>{escape(path)} at {second:.1f} s <small>({escape(kind)}{_often(often)})</small></li>"
        for path, second, kind, often in at.woke[:WORST]
    ]
    lost = sorted(at.missed["clean"].items(), key=lambda each: (-each[1], each[0]))
    missed = [f"<li>{escape(name)}<small>{_often(often)}</small></li>" for name, often in lost[:WORST]]
    where = "as shipped" if label == SHIPPED else f"at {label} an hour"
    what = f"{len(at.woke)} sounds that wake it wrongly, and {len(lost)} clean clips that it misses, {where}"
    lists = "".join(f"<ol>{''.join(each) or '<li>none</li>'}</ol>" for each in (heard, missed))
    return [f"<details><summary>{escape(judged.name)}: {what}</summary>{lists}</details>"]


def _often(share: float) -> str:
    return "" if share > 0.999 else f", in {100 * share:.0f} % of the halvings"


def _method(result: Result) -> list[str]:
    total = sum(result.hours.values())
    text = METHOD.read_text().format(
        hours=escape("; ".join(f"{kind} {value:.2f} h" for kind, value in result.hours.items())),
        bound=3 / total if total else float("inf"),
        rare=""
        if RARE in result.rates
        else f"Misses at {RARE} an hour are not stated: that takes {RARE_HOURS:.0f} hours.",
        sources=escape("; ".join(f"{name} {value:.2f} h" for name, value in sorted(result.sources.items()))),
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
    return [text, f"<ul>{notes}</ul>" if notes else ""]
