"""One training, from a phrase to a model that can be flashed, in one folder; killed anywhere, it goes on where it was.

Whatever is made is kept by its content: clips, scenes and half-trained nets in the store, finished stages in the
folder's diary. So a run that begins again finds what is done, and what was made from other inputs is made anew.
"""

import contextlib
import fcntl
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sourdine_board.mistake import Mistake
from sourdine_training import stages, voices, words
from sourdine_training.apart import apart
from sourdine_training.diary import Diary
from sourdine_training.executor import Executor
from sourdine_training.material import SPLITS, Material, code
from sourdine_training.memory import Peak
from sourdine_training.plan import Journey, Part, Tell, check, duration, plan, seeds
from sourdine_training.recipe import Recipe
from sourdine_training.sources import folders
from sourdine_training.sources.recorded import recorded
from sourdine_training.store import LIMIT, Store, key

log = logging.getLogger("sourdine_training")
RECIPE, DATA, LOG, SUMMARY = "recipe.toml", "data.csv", "log.txt", "summary.json"


@dataclass
class Run:
    """recipe → folder. `executor` makes one for whoever works; `say` is for lines, `tell` for how far it is."""

    recipe: Recipe
    folder: Path
    store: Store
    executor: Callable[[], Executor] = Executor.in_process
    say: Callable[[str], None] = log.info
    tell: Tell = lambda share, left, what: None

    def train(self) -> dict[str, Any]:
        """Run every stage that is not done; returns the summary, which is summary.json too. Raises Mistake."""
        began = time.monotonic()
        with self._alone(), self.store.using(), Peak() as memory:
            self._write_recipe()
            self._diary = Diary(self.folder)
            sayings = self._sayings()
            journey = self._plan(sayings)
            material = self._material(sayings, journey)
            spotters = [self._spotter(material, seed, journey) for seed in seeds(self.recipe)]
            best = min(spotters, key=lambda each: each["loss"])
            verifier = self._verifier(material, best, journey)
            exported = self._export(material, best, verifier, journey)
            judged = self._judge(material, exported, journey)
            self.store.trim(LIMIT)
        summary = {
            "phrase": self.recipe.phrase,
            "chosen": spotters.index(best),
            "spotters": spotters,
            "verifier": verifier,
            "exported": exported,
            "judged": judged,
            "seconds": round(time.monotonic() - began, 1),
            "peak_bytes": memory.bytes,
            "store_bytes": self.store.size(),
        }
        self._write(SUMMARY, json.dumps(summary, indent=1) + "\n")
        return summary

    # The stages.

    def _sayings(self) -> list[voices.Saying]:
        """The verdict on the phrase, then who says what."""
        recipe = self.recipe
        verdict = words.verdict(recipe.phrase, recipe.language)
        for reason in verdict.reasons:
            self.say(reason)
        if not verdict.ok and not recipe.words.force:
            better = f" ({', '.join(verdict.alternatives)})" if verdict.alternatives else ""
            raise Mistake(f"“{recipe.phrase}” makes a poor wake word: choose another{better}, or insist with --force")
        lines = words.lines(recipe.phrase, recipe.language, recipe.words, recipe.seed)
        return voices.cast(lines, recipe.voices, recipe.seed)

    def _plan(self, sayings: Sequence[voices.Saying]) -> Journey:
        with self.executor() as executor:
            parts = plan(self.recipe, sayings, self.store, executor.workers)
        check(parts, self.store.root)
        self.store.trim(max(0, LIMIT - sum(part.bytes for part in parts)))
        for line in described(parts, self.store):
            self.say(line)
        return Journey(parts, self.tell)

    def _material(self, sayings: Sequence[voices.Saying], journey: Journey) -> Material:
        """Every sound there is, listed in data.csv; then the scenes made of them."""
        recipe = self.recipe
        with self.executor() as executor:
            recordings = recorded(self.store, executor, journey.stage("recordings"))
            for path in recipe.data:
                recordings += folders.folder(Path(path), recipe.phrase, self.store, executor)
            clips = voices.speak(sayings, self.store, executor, journey.stage("voices"))
        if recipe.takes:
            clips += folders.takes(Path(recipe.takes), recipe.phrase, self.store)
        if recipe.negatives:
            clips += folders.negatives(Path(recipe.negatives), self.store)
        material = Material(self.recipe, tuple(clips), tuple(recordings), self.store)
        material.write(self.folder / DATA)
        for line in material.described():
            log.info(line)
        with self.executor() as executor:
            progress = journey.stage("scenes")
            for number, split in enumerate(SPLITS):
                material.pool(
                    split, executor, lambda done, total, what, n=number: progress(n * total + done, 2 * total, what)
                )
        return material

    def _spotter(self, material: Material, seed: int, journey: Journey) -> dict[str, Any]:
        recipe = self.recipe
        inputs = key("spotter", material.key, recipe.fit, recipe.net, seed, code("fit", "net"))
        return self._stage(f"spotter {seed}", inputs, journey, stages.train_spotter, material, seed)

    def _verifier(self, material: Material, spotter: dict[str, Any], journey: Journey) -> dict[str, Any]:
        recipe = self.recipe
        weights = self.folder / spotter["files"]["npz"]
        inputs = key(
            "verifier", material.key, recipe.fit_verifier, recipe.verifier, recipe.seed, weights, code("fit", "net")
        )
        return self._stage("verifier", inputs, journey, stages.train_verifier, material, weights)

    def _export(
        self, material: Material, spotter: dict[str, Any], verifier: dict[str, Any], journey: Journey
    ) -> dict[str, Any]:
        recipe = self.recipe
        weights = [self.folder / each["files"]["npz"] for each in (spotter, verifier)]
        said = [recipe.phrase, recipe.language, recipe.author]
        inputs = key("export", material.key, recipe.export, *weights, said, code("export", "net"))
        return self._stage("export", inputs, journey, stages.export_pair, material, *weights)

    def _judge(self, material: Material, exported: dict[str, Any], journey: Journey) -> dict[str, Any]:
        models = [self.folder / name for name in exported["files"].values()]
        inputs = key("judgement", material.key, *models, code("evaluate"))
        return self._stage(
            "judgement", inputs, journey, stages.judge, material, self.folder / exported["files"]["json"]
        )

    # What they share.

    def _stage(self, name: str, inputs: str, journey: Journey, function: Callable, *arguments: Any) -> dict[str, Any]:
        """A stage's result from the diary, or from function(*arguments, its folder in the store, tell).

        "files" of the result tells by ending what it left in the run's folder.
        """
        progress = journey.stage(name)
        done = self._diary.result(name, inputs)
        if done is None or not all((self.folder / path).exists() for path in done["files"].values()):
            work = self.store.path("work", inputs)
            work.mkdir(exist_ok=True)
            made, files = apart(function, *arguments, work, tell=progress, log=self.folder / LOG)
            done = made | {"files": self._keep(name, files)}
            self._diary.finish(name, inputs, done)
            log.info("%s is done: %s", name, json.dumps(made))
        progress(1, 1, "done")
        return done

    def _keep(self, name: str, files: dict[str, Path]) -> dict[str, str]:
        """Copy what a stage made into the run's folder, under its own name if it has one: ending → name there."""
        kept = {}
        for ending, path in files.items():
            own = path.name.startswith((self.recipe.name, "report"))
            kept[ending] = path.name if own else f"{name.replace(' ', '-')}.{ending}"
            with self.store.writing(self.folder / kept[ending]) as scratch:
                shutil.copytree(path, scratch) if path.is_dir() else shutil.copyfile(path, scratch)
        return kept

    def _write(self, name: str, text: str) -> None:
        with self.store.writing(self.folder / name) as scratch:
            scratch.write_text(text)

    def _write_recipe(self) -> None:
        """The whole recipe, so that the folder says how it was made. Mistake when it holds another word's."""
        path = self.folder / RECIPE
        if path.exists() and f"phrase = {json.dumps(self.recipe.phrase, ensure_ascii=False)}\n" not in path.read_text():
            raise Mistake(f"{self.folder} holds the training of another phrase: choose another --out, or remove it")
        self._write(RECIPE, self.recipe.text())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One run per folder, and its log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Mistake(
                    f"another run is at work in {self.folder}: wait for it, or choose another --out"
                ) from None
            writer = logging.StreamHandler(file)
            writer.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            log.addHandler(writer)
            before, log.level = log.level, logging.INFO
            try:
                yield
            finally:
                log.removeHandler(writer)
                log.setLevel(before)


def described(parts: Sequence[Part], store: Store) -> list[str]:
    """What is ahead, as lines for a person."""
    seconds, size = sum(part.seconds for part in parts), sum(part.bytes for part in parts)
    lines = [f"about {duration(seconds)} on this machine, and {size / 1e9:.1f} GB in {store.root}"]
    return lines + [f"  {part.stage:12} {duration(part.seconds):>8}" for part in parts if part.seconds >= 1]
