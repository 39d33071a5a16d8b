"""One training, from a phrase to a model that can be flashed, in one folder; killed anywhere, it goes on where it was.

Whatever is made lies in the store under the key of all it was made from: clips, scenes, half-trained nets, finished
stages. So a run that begins again finds what is done, and what was made from other inputs is made anew.
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
from sourdine_training import pools, stages, voices, words
from sourdine_training.apart import Progress, apart
from sourdine_training.executor import Executor
from sourdine_training.material import SPLITS, Material, code
from sourdine_training.memory import Peak
from sourdine_training.plan import Journey, Part, Tell, check, duration, plan
from sourdine_training.recipe import Recipe, parsed
from sourdine_training.sources import folders
from sourdine_training.sources.recorded import recorded
from sourdine_training.store import LIMIT, Store, key

log = logging.getLogger("sourdine_training")
RECIPE, DATA, LOG, SUMMARY = "recipe.toml", "data.csv", "log.txt", "summary.json"
ALOUD = 10  # warnings that are said; all of them are in the log


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
        with self.at_work(), Peak() as memory:
            material, journey = self.material()
            progress = journey.stage("nets")
            trained = self._apart(stages.nets, material, inputs=stages.nets_key(material), tell=progress)
            self._keep_nets(trained)
            progress = journey.stage("export")
            inputs = stages.model_key(material, trained)
            model = self._apart(stages.model, material, trained, inputs=inputs, tell=progress)
            self._keep(model)
            for warning in model["warnings"]:
                self.say(f"mind: {warning}")
            progress = journey.stage("judgement")
            inputs = stages.judgement_key(material, model)
            judged = self._apart(stages.judgement, material, model, inputs=inputs, tell=progress)
            self._keep(judged)
            self.store.trim(LIMIT)
        summary = {
            "phrase": self.recipe.phrase,
            "model": self.recipe.name,
            **{name: trained[name] for name in ("spotters", "chosen", "verifier")},
            **{name: model[name] for name in ("agreed", "shifts", "cutoffs", "warnings")},
            "took_part": pools.took_part(material.clips, material.recordings),
            "verdict": judged["verdict"],
            "seconds": round(time.monotonic() - began, 1),
            "peak_bytes": memory.bytes,
            "store_bytes": self.store.size(),
        }
        self._write(SUMMARY, json.dumps(summary, indent=1) + "\n")
        return summary

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """One run per folder; its log; and what it uses of the store stays there."""
        with self._alone(), self.store.using():
            yield

    def material(self) -> tuple[Material, Journey]:
        """Everything until the nets: the verdict, the plan, voices, recordings, scenes."""
        self._write_recipe()
        sayings = self._sayings()
        journey = self._plan(sayings)
        return self._material(sayings, journey), journey

    # The stages.

    def _sayings(self) -> list[voices.Saying]:
        """The verdict on the phrase, then who says what."""
        recipe = self.recipe
        verdict, lines = written(recipe, self.store)
        for reason in verdict.reasons:
            self.say(reason)
        better = ", ".join(f"“{phrase}”" for phrase, _ in verdict.alternatives[:3])
        if verdict.refused and not recipe.words.force:
            raise Mistake(
                f"“{recipe.phrase}” cannot make a wake word: choose {better or 'another'}, or insist with --force"
            )
        if not verdict.ok:
            self.say(
                f"It scores {verdict.score} of 100: expect false wakes{f'; better is {better}' if better else ''}."
            )
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
        recipe, own = self.recipe, self._own()
        with self.executor() as executor:
            progress, others = journey.stage("recordings"), []
            for path in recipe.data:  # before what takes long, as a folder may not do
                others += folders.folder(Path(path), recipe.phrase, self.store, executor)
            recordings = (recorded(self.store, executor, progress) if recipe.recordings else []) + others
            clips = voices.speak(sayings, self.store, executor, journey.stage("voices"))
        material = Material(self.recipe, (*clips, *own), tuple(recordings), self.store)
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

    def _own(self) -> list[voices.Clip]:
        """The owner's takes and negatives; they come first, for a folder that will not do is known at once."""
        own, recipe = [], self.recipe
        if recipe.takes:
            own += folders.takes(Path(recipe.takes), recipe.phrase, self.store)
        if recipe.negatives:
            own += folders.negatives(Path(recipe.negatives), self.store)
        return own

    # What they share.

    def _apart(self, stage: Callable[..., Any], *arguments: Any, inputs: str, tell: Progress) -> Any:
        """A stage that is done, from the store; else stage(*arguments, inputs, tell) in a process of its own."""
        found = stages.record(self.store, inputs)
        if not found:
            found = apart(stage, *arguments, inputs, tell=tell, log=self.folder / LOG)
            log.info("%s: done", stage.__name__)
        tell(1, 1, "done")
        return found

    def _keep_nets(self, trained: dict[str, Any]) -> None:
        """Weights and curves, by the seeds of the spotters."""
        for each in trained["spotters"]:
            self._keep(each, f"spotter-{each['seed']}.")
        self._keep(trained["verifier"], "verifier.")

    def _keep(self, made: dict[str, Any], called: str = "") -> None:
        """Copy what a stage made into the run's folder: under its own name, or as `called` and its ending."""
        for ending, name in made["files"].items():
            path, target = Path(made["folder"]) / name, self.folder / (called + ending if called else name)
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True)
            else:
                with self.store.writing(target) as scratch:
                    shutil.copyfile(path, scratch)

    def _write(self, name: str, text: str) -> None:
        with self.store.writing(self.folder / name) as scratch:
            scratch.write_text(text)

    def _write_recipe(self) -> None:
        """The whole recipe, so that the folder says how it was made. Mistake when it holds another word's."""
        path = self.folder / RECIPE
        if path.exists() and parsed(path).get("phrase") != self.recipe.phrase:
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
            aloud = _Aloud(self.say)
            for handler in (writer, aloud):
                log.addHandler(handler)
            before, log.level = log.level, logging.INFO
            try:
                yield
            finally:
                for handler in (writer, aloud):
                    log.removeHandler(handler)
                log.setLevel(before)


class _Aloud(logging.Handler):
    """Says what is left out, and not only in the log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say, self._left = say, ALOUD

    def emit(self, record: logging.LogRecord) -> None:
        if self._left:
            self._left -= 1
            self._say(f"mind: {record.getMessage()}{'' if self._left else f' (and more: see {LOG})'}")


def written(recipe: Recipe, store: Store) -> tuple[words.Verdict, list[words.Line]]:
    """The verdict on the phrase and all that is to be said, kept because thinking of them takes a while."""
    about = (recipe.phrase, recipe.language)
    path = store.path("words", key(*about, recipe.words, recipe.seed, code("words")), ".json")
    if not path.exists():
        verdict, lines = words.verdict(*about), words.lines(*about, recipe.words, recipe.seed)
        with store.writing(path) as scratch:
            scratch.write_text(json.dumps([vars(verdict), [vars(line) for line in lines]], ensure_ascii=False))
    verdict, lines = json.loads(path.read_text())
    verdict["alternatives"] = [tuple(each) for each in verdict["alternatives"]]
    return words.Verdict(**verdict), [words.Line(**line) for line in lines]


def described(parts: Sequence[Part], store: Store) -> list[str]:
    """What is ahead, as lines for a person."""
    seconds, size = sum(part.seconds for part in parts), sum(part.bytes for part in parts)
    lines = [f"about {duration(seconds)} on this machine, and {size / 1e9:.1f} GB in {store.root}"]
    return lines + [f"  {part.stage:12} {duration(part.seconds):>8}" for part in parts if part.seconds >= 1]
