"""The stages after the data, each in a process of its own: nets, the files of a model, and a judgement of it.

What a stage makes lies in the store under the key of all that went in: checkpoints while it is at work, then its
files and record.json, which makes it done. So whoever is killed goes on there, and nobody trains a net twice.
"""

import contextlib
import dataclasses
import fcntl
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sourdine_training.apart import Progress
from sourdine_training.executor import Executor
from sourdine_training.material import FIRMWARE, Material, code, reported
from sourdine_training.plan import seeds
from sourdine_training.store import Store, key

RECORD, LOCK = "record.json", "lock"
AGREED = 16  # windows on which float, tflite-micro and firmware are compared: 1,280 steps
JUDGED = 500  # clips of each kind at most
JUDGED_H = 2.0  # hours of each kind of negatives at most
SPOTTER, VERIFIER = 0.75, 0.25  # of a net's share of the time
SYNTHETIC = (
    "The word was said by synthetic voices that the nets did not learn from. People are harder: judge the model on "
    "recordings of them with `sourdine evaluate`."
)
APART = "Other clips of the same voices chose the net and the cutoffs."
TOGETHER = "These very clips chose the net and the cutoffs, too: they are too few to share."
FRENCH = "This word is French, and was judged on synthetic French voices alone: no person said it."
Made = dict[str, Any]  # what there is to say; "files": ending → name in `folder`; "folder" is where they lie


def nets_key(material: Material) -> str:
    """Of all that decides the weights."""
    recipe = material.recipe
    fitted = [recipe.fit, recipe.net, recipe.fit_verifier, recipe.verifier]
    return key("nets", material.key, *fitted, seeds(recipe), code("fit", "net"))


def nets(material: Material, inputs: str, tell: Progress) -> Made:
    """Train the spotters that compete, and a verifier for the best of them."""
    return made(material.store, inputs, partial(_nets, material), tell)


def _nets(material: Material, folder: Path, tell: Progress) -> Made:
    recipe, own = material.recipe, seeds(material.recipe)
    spotters = []
    for number, seed in enumerate(own):
        share = within(tell, SPOTTER * number / len(own), SPOTTER / len(own), f"{number + 1} of {len(own)}")
        spotters.append(spotter(material, seed, share))
    chosen = min(range(len(own)), key=lambda number: spotters[number]["loss"])
    second = verifier(material, spotters[chosen], recipe.seed, within(tell, SPOTTER, VERIFIER, "verifier"))
    return {"spotters": spotters, "chosen": chosen, "verifier": second, "files": {}}


def spotter(material: Material, seed: int, tell: Progress) -> Made:
    """Train one spotter."""
    recipe = material.recipe
    inputs = key("spotter", material.key, recipe.fit, recipe.net, seed, code("fit", "net"))
    return made(material.store, inputs, partial(_spotter, material, seed), tell)


def _spotter(material: Material, seed: int, folder: Path, tell: Progress) -> Made:
    from sourdine_training import fit

    pool, valid, recipe = material.pool("train"), material.pool("valid"), material.recipe
    return _trained(fit.train(pool, valid, recipe.fit, seed, folder, tell, net=recipe.net)) | {"seed": seed}


def verifier(material: Material, spotter: Made, seed: int, tell: Progress) -> Made:
    """Train a verifier for a spotter."""
    recipe, first = material.recipe, _weights(spotter)
    inputs = key("verifier", material.key, first, recipe.fit_verifier, recipe.verifier, seed, code("fit", "net"))
    return made(material.store, inputs, partial(_verifier, material, first, seed), tell)


def _verifier(material: Material, spotter: Path, seed: int, folder: Path, tell: Progress) -> Made:
    from sourdine_training import fit, net

    pool, valid, recipe = material.pool("train"), material.pool("valid"), material.recipe
    first = net.Weights.load(spotter)
    return _trained(
        fit.train_verifier(first, pool, valid, recipe.fit_verifier, seed, folder, tell, net=recipe.verifier)
    )


def _trained(trained: Any) -> Made:
    said = dataclasses.asdict(trained)
    return said | {"path": "", "files": {"npz": Path(said["path"]).name, "csv": "curves.csv", "png": "curves.png"}}


def model_key(material: Material, trained: Made) -> str:
    """Of all that decides the files of the model."""
    recipe = material.recipe
    weights = [_weights(each) for each in (trained["spotters"][trained["chosen"]], trained["verifier"])]
    said = [recipe.phrase, recipe.language, recipe.author]
    return key(
        "model", material.key, recipe.export, *weights, said, code("export", "net", "rule.py", "pools.py", FIRMWARE)
    )


def model(material: Material, trained: Made, inputs: str, tell: Progress) -> Made:
    """Quantise, see that all who run it agree, choose the cutoffs, write the files of the model."""
    return made(material.store, inputs, partial(_model, material, trained), tell)


def _model(material: Material, trained: Made, folder: Path, tell: Progress) -> Made:
    from sourdine_training import export, net, pools

    recipe, valid = material.recipe, material.pool("valid")
    words = pools.calibration(valid, recipe.export.calibration, recipe.seed)
    spotter, verifier = (
        net.Weights.load(_weights(each)) for each in (trained["spotters"][trained["chosen"]], trained["verifier"])
    )
    settled = export.settled(spotter, verifier, words, valid, recipe.export, within(tell, 0, 0.9, "cutoffs"))
    files, cutoffs = settled.files, settled.cutoffs
    agreed = {}
    for name, weights, data in zip(("spotter", "verifier"), settled.nets, files, strict=True):
        tell(9, 10, f"comparing what runs the {name}")
        agreement = export.agree(weights, data, words[:AGREED])
        if not agreement.exact:  # ours to mend, and nobody should flash it
            raise RuntimeError(f"the firmware runs the {name} otherwise than tflite-micro: {agreement}")
        agreed[name] = dataclasses.asdict(agreement)
    warnings = []
    kept = cutoffs.alone.rate <= recipe.export.rate
    if not kept:
        warnings.append(f"no cutoff keeps the spotter down to {recipe.export.rate:g} false accepts an hour")
    second = files[1] if cutoffs.helps else None
    if not second:
        warnings.append("the second stage does not help, and is left out")
    about = {"author": recipe.author, "languages": [recipe.language]}
    paths = export.write(folder, recipe.name, recipe.phrase, files[0], cutoffs, second, **about)
    endings = {path.name.removeprefix(f"{recipe.name}."): path.name for path in paths}
    return {
        "agreed": agreed,
        "shifts": dict(
            zip(("spotter", "verifier"), settled.shifts, strict=True)
        ),  # of all logits, beside the weights kept
        "cutoffs": _plain(dataclasses.asdict(cutoffs)),
        "warnings": warnings,
        "files": endings,
    }


def judgement_key(material: Material, files: Made) -> str:
    """Of all that decides the report."""
    paths = [Path(files["folder"]) / name for name in files["files"].values()]
    return key("judgement", material.key, *paths, code("evaluate", "export", "rule.py", "features.py", FIRMWARE))


def judgement(material: Material, files: Made, inputs: str, tell: Progress) -> Made:
    """Judge the model on voices and recordings that it never learnt from: report.html, its pictures, result.json."""
    return made(material.store, inputs, partial(_judgement, material, files), tell)


def _judgement(material: Material, files: Made, folder: Path, tell: Progress) -> Made:
    from sourdine_training.evaluate import judge, pairs, report, text

    model = pairs.read(Path(files["folder"]) / files["files"]["json"])
    with Executor.in_process() as executor:
        heard, notes = unheard(material)
        result = judge.evaluate([*model.stages()], heard, material.store, executor, tell, notes)
    report.write(result, folder / "report")
    return {"verdict": text.verdict(result.judged[0], result), "files": {"report": "report"}}


def unheard(material: Material) -> tuple[list[Any], list[str]]:
    """What validates and chose nothing, as the judge wants it, and the recordings that are kept for judging alone.

    Second, what is to be said of them.
    """
    from sourdine_training.evaluate.corpus import Recording, plain

    word, found = plain(material.recipe.phrase), []
    clips = [each for each in material.clips if reported(each)]
    recordings = [each for each in material.recordings if each.split == "judge" or reported(each)]
    notes = [SYNTHETIC, APART]
    if not {"positive", "speech"} <= {*(each.kind for each in clips), *(each.kind for each in recordings)}:
        clips = [each for each in material.clips if each.split != "train"]
        recordings = [each for each in material.recordings if each.split != "train"]
        notes = [SYNTHETIC, TOGETHER]
    if material.recipe.language == "fr" and not any(
        each.voice.engine == "take" for each in clips if each.kind == "positive"
    ):
        notes.append(FRENCH)
    kinds = {
        "positive": "positive",
        "near": "confusable",
        "partial": "confusable",
        "running": "speech",
        "speech": "speech",
    }
    for kind, called in kinds.items():
        mine = sorted((each for each in clips if each.kind == kind), key=lambda each: each.key)
        found += [
            Recording(each.path, called, word if kind == "positive" else "", each.voice.speaker, each.voice.engine)
            for each in mine[:JUDGED]
        ]
    hours: dict[str, float] = {}
    for each in sorted(recordings, key=lambda each: (each.split, each.key)):  # "judge" before "valid"
        if hours.get(each.kind, 0.0) < JUDGED_H:
            hours[each.kind] = hours.get(each.kind, 0.0) + each.seconds / 3600
            found.append(Recording(each.path, each.kind, "", each.key, each.source))
    return found, notes


def made(store: Store, inputs: str, make: Callable[[Path, Progress], Made], tell: Progress) -> Made:
    """What was made under this key, or what make(folder, tell) makes now. Two that want the same: the second waits."""
    if known := record(store, inputs):
        return known
    folder = store.path("work", inputs)
    folder.mkdir(exist_ok=True)
    with _alone(folder, tell):
        if not (folder / RECORD).exists():
            said = make(folder, tell)
            with store.writing(folder / RECORD) as scratch:
                scratch.write_text(json.dumps(said))
    return record(store, inputs) or {}


def record(store: Store, inputs: str) -> Made | None:
    """What is known of a stage that is done."""
    folder = store.path("work", inputs)
    try:
        return json.loads((folder / RECORD).read_text()) | {"folder": str(folder)}
    except FileNotFoundError:
        return None


def within(tell: Progress, start: float, share: float, name: str) -> Progress:
    """A progress that fills `share` of another, from `start` on."""
    return lambda done, total, what: tell(round(1000 * (start + share * done / max(total, 1))), 1000, f"{name}, {what}")


def _weights(trained: Made) -> Path:
    return Path(trained["folder"]) / trained["files"]["npz"]


def _plain(value: Any) -> Any:
    """As JSON has it: names of tables are strings."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return value


@contextlib.contextmanager
def _alone(folder: Path, tell: Progress) -> Iterator[None]:
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(0, 1, "another run makes the same: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
