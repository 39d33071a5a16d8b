"""Which stages of a run are done, and from what: one JSON file in its folder, written whole or not at all."""

import json
from pathlib import Path
from typing import Any

from sourdine_training.store import Store

FILE = "stages.json"


class Diary:
    """Results of stages by name, each valid for one key of everything that went in."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        try:
            self._stages: dict[str, dict[str, Any]] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            self._stages = {}

    def result(self, stage: str, key: str) -> Any:
        """What this stage made from inputs with this key; None if it has not, or from others."""
        entry = self._stages.get(stage, {})
        return entry.get("result") if entry.get("key") == key else None

    def finish(self, stage: str, key: str, result: Any) -> None:
        """Write down that a stage is done. `result` is plain JSON."""
        self._stages[stage] = {"key": key, "result": result}
        with Store(self._path.parent).writing(self._path) as scratch:
            scratch.write_text(json.dumps(self._stages, indent=1) + "\n")
