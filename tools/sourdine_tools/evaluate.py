"""`sourdine evaluate`: how many it misses and how often it is wrong, for any model or peer, on any folder."""

import argparse
import sys
from pathlib import Path

from sourdine_board.mistake import Mistake

PEERS = ("microwakeword", "openwakeword", "porcupine")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="NAME.json or NAME.tflite, or a peer: openwakeword:alexa"
    )
    parser.add_argument("--on", type=Path, required=True, metavar="FOLDER", help="recordings: see below")
    parser.add_argument("--word", help="what is said in the recordings, if the models' manifests say something else")
    parser.add_argument(
        "--peers", action="store_true", help=f"judge {', '.join(PEERS)} beside them, where they know the word"
    )
    parser.add_argument(
        "--negatives", type=Path, nargs="+", default=[], metavar="DIR", help="more recordings without the word"
    )
    parser.add_argument(
        "--no-recorded", action="store_true", help="without Debian's recordings that are kept for judging"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where report.html, its pictures and result.json go")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.epilog = (
        "FOLDER has a manifest.csv with the columns path, category (positive:WORD, speech, noise, music, confusable, rir)\n"
        "and if known speaker and source; or it has positive/WORD/*, negative/KIND/** and, if measured, rir/*.\n\n"
        "Thresholds are chosen on half of the speakers and scored on the other half. What was heard once is kept, so the\n"
        "same models on the same recordings cost nothing the next time.\n\n"
        "Exit status: 0 judged, 2 not."
    )


def run(arguments: argparse.Namespace) -> int:
    from sourdine_tools.bench import tell
    from sourdine_training.evaluate import corpus, judge, pairs, peers, text
    from sourdine_training.executor import Executor
    from sourdine_training.store import Store

    found = corpus.read(arguments.on)
    further = [each for folder in arguments.negatives for each in corpus.without_words(corpus.read(folder))]
    chosen = []
    for name in arguments.models:
        if ":" in name:
            chosen.append(peers.named(name))
        else:
            pair = pairs.read(Path(name))
            chosen += (pair.on(arguments.word) if arguments.word else pair).stages()
    words = list(dict.fromkeys([each.word for each in chosen] or [corpus.plain(arguments.word or "")]))
    notes = []
    if arguments.peers:
        for word in words:
            others, said = peers.every(word)
            chosen += [each for each in others if each.key not in {mine.key for mine in chosen}]
            notes += said
    if not chosen:
        raise Mistake("there is nobody to judge: name a model, or --word WORD --peers")
    store = Store()
    with store.using(), Executor.in_process(arguments.workers) as executor:
        if not arguments.no_recorded:
            more, said = corpus.recorded(store, executor, tell)
            further += more
            notes += said
        result = judge.evaluate(chosen, found, store, executor, tell, notes, further)
    print(text.report(result))
    if arguments.out:
        from sourdine_training.evaluate import report

        print(f"\n{report.write(result, arguments.out)}", file=sys.stderr)
    return 0
