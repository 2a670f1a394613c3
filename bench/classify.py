"""Measure the classifier: speed, leave-one-writer-out, ablation, learning curve, held-out mails.

    python bench/classify.py speed
    python bench/classify.py ablation | curve | writers | held-out [--plots docs]

Every figure of docs/classifier.md comes from here. One core: the threads of the linear algebra are limited to one.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from responder.classifier import examples, familiarity, folds, vectors
from responder.classifier.evaluate import Figures, Judgement, Report, evaluate, plots
from responder.classifier.examples import Example
from responder.classifier.model import Model, load
from responder.classifier.train import train

CONTENT = Path(__file__).resolve().parent.parent / "content"
DEVELOPMENT = "X"  # held-out mails whose errors were read while the classifier was made; Y were not


def held_out(prefix: str, file: Path = examples.HELD_OUT) -> list[dict[str, object]]:
    lines = (CONTENT / file).read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["id"].startswith(prefix)]


def row(name: str, model: Model, figures: Figures) -> None:
    proof, texts = model.thresholds, examples.read(model.content)
    scoped = sum(example.label != examples.STAFF for example in texts)
    covered = proof.sample - round(proof.leak * (len(texts) - scoped))
    print(
        f"{name:<34} {len(texts):>5} texts  out of fold: coverage {covered / scoped:.3f} leak {proof.leak:.3f}"
        f" from {proof.auto:.3f}"
        f"  X: precision {figures.precision:.3f} coverage {figures.coverage:.3f} leak {figures.leak:.3f}"
        f" complete {figures.complete:.3f} top-1 {figures.top1:.3f}",
        flush=True,
    )


@contextmanager
def altered(change: Callable[[Path], None]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        content = Path(directory) / "content"
        shutil.copytree(CONTENT, content)
        change(content)
        yield content


def without_spelling(content: Path) -> None:
    for name in ("ejaan.yaml", "daerah.yaml", "inggris.yaml"):
        (content / "_words" / name).write_text("{}\n", encoding="utf-8")


def without(part: str) -> Callable[[Path], None]:
    def change(content: Path) -> None:
        path = content / "_words" / "konsep.yaml"
        kept: list[str] = []
        skipping = False
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith((" ", "#")):
                skipping = line.startswith(f"{part}:")
                kept.append(f"{part}: {{}}" if skipping else line)
            elif not skipping:
                kept.append(line)
        path.write_text("\n".join(kept) + "\n", encoding="utf-8")

    return change


def thinned(keep: Callable[[Example, random.Random], bool]) -> Callable[[Path], None]:
    def change(content: Path) -> None:
        chance = random.Random(7)
        for path in examples.files(content):
            lines: list[str] = []
            for example in examples.parse(path.read_text(encoding="utf-8"), path.parent.name):
                if keep(example, chance):
                    title = f"Perihal: {example.subject}\n" if example.subject else ""
                    lines.append(f"# penulis: {example.writer}\n\n{title}{example.body}".rstrip() + "\n")
            path.write_text("\n".join(lines), encoding="utf-8")

    return change


def measure(name: str, change: Callable[[Path], None] | None = None, *, repair: bool = True) -> None:
    with altered(change or (lambda _: None)) as content:
        model = train(content, repair=repair)
        row(name, model, evaluate(model, held_out(DEVELOPMENT)).figures)


def ablation() -> None:
    measure("everything")
    measure("no spelling, region, English lists", without_spelling)
    measure("no concepts (objects)", without("objek"))
    measure("no concepts (actions)", without("tindakan"))
    measure("no cues", without("tanda"))
    measure("no hard stops", without("henti"))
    measure("no repair of typing errors", repair=False)
    for view, name in (
        ("w", "normalised words"),
        ("c", "letters"),
        ("k", "concept view"),
    ):
        share = vectors.VIEW_SHARE[view]
        vectors.VIEW_SHARE[view] = 0.0
        measure(f"no {name}")
        vectors.VIEW_SHARE[view] = share
    table = familiarity.table
    familiarity.table = lambda counts, texts: np.zeros_like(table(counts, texts))
    measure("no familiarity")
    familiarity.table = table
    beyond = familiarity.beyond
    familiarity.beyond = lambda counts, texts, leading: (
        np.zeros_like(counts[:, :-1]),
        np.zeros_like(counts[:, :-1]),
    )
    measure("nothing of what is left unsaid")
    familiarity.beyond = beyond
    joins = folds._ONE_TOPIC
    folds._ONE_TOPIC = 0
    measure("no joins of one topic")
    folds._ONE_TOPIC = joins


def curve() -> None:
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        measure(f"{share:.0%} of all texts", thinned(lambda _, chance, s=share: chance.random() < s))
    for share in (0.1, 0.25, 0.5):
        measure(
            f"{share:.0%} of the staff texts",
            thinned(lambda e, chance, s=share: e.label != examples.STAFF or chance.random() < s),
        )
        measure(
            f"{share:.0%} of the topic texts",
            thinned(lambda e, chance, s=share: e.label == examples.STAFF or chance.random() < s),
        )


def writers() -> None:
    """Train without a writer and judge his texts as mails: nothing of him is known, thresholds included."""
    texts = examples.read(CONTENT)
    everything: list[Judgement] = []
    for writer in sorted({text.writer for text in texts}):
        with altered(thinned(lambda e, _, w=writer: e.writer != w)) as content:
            model = train(content)
            rows = [
                {
                    "id": f"{writer}{i}",
                    "subject": e.subject,
                    "body": e.body,
                    "gold": [e.label] if e.label[0] != "_" else [],
                }
                for i, e in enumerate(texts)
                if e.writer == writer
            ]
            report = evaluate(model, rows)
        everything += report.judgements
        print(f"writer {writer}:", _line(report.figures), flush=True)
    whole = Report(report.topics, tuple(everything))
    print("all:     ", _line(whole.figures), f"calibration error {whole.calibration_error():.3f}")
    print(whole.text())


def _line(f: Figures) -> str:
    return (
        f"{f.mails} texts, precision {f.precision:.3f} (error <= {f.error_bound:.3f}), coverage {f.coverage:.3f}, "
        f"leak {f.leak:.3f}, top-1 {f.top1:.3f}, top-3 {f.top3:.3f}"
    )


def held() -> None:
    model = train(CONTENT)
    print(model.summary())
    for prefix in ("K", "L", ""):
        figures = evaluate(model, held_out(prefix, examples.UNSEEN)).figures
        print(f"writer {prefix.lower() or 'k and l'}: {_line(figures)}")
    for prefix in ("X", "Y", ""):
        report = evaluate(model, held_out(prefix))
        print(f"\n== {prefix or 'X and Y'}\n{report.text()}")
    if "--plots" in sys.argv:
        for path in plots(report, Path(sys.argv[sys.argv.index("--plots") + 1])):
            print("wrote", path)


def speed() -> None:
    started, worked = time.perf_counter(), time.process_time()
    model = train(CONTENT)
    print(
        f"train {len(model.neighbours.labels)} texts: {time.perf_counter() - started:.1f} s, "
        f"{time.process_time() - worked:.1f} s of one core"
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.npz"
        model.save(path)
        script = (
            "import time; t = time.perf_counter()\n"
            "from pathlib import Path; import numpy\n"
            "def rss(): return int(Path('/proc/self/statm').read_text().split()[1]) * 4 // 1024\n"
            "base = rss()\n"
            "from responder.classifier.model import load\n"
            f"m = load(Path({str(path)!r}), Path({str(CONTENT)!r})); m.classify([('', 'lupa sandi')])\n"
            "print(f'start-up {time.perf_counter() - t:.2f} s, {rss() - base} MB of memory over numpy alone')\n"
        )
        print(
            subprocess.run(
                [sys.executable, "-c", script], check=True, capture_output=True, text=True
            ).stdout.strip()
        )
        model = load(path, CONTENT)
    mails = [(str(r["subject"]), str(r["body"])) for r in held_out("")]
    # Time of the processor, not of the clock: other work on the machine is not the classifier's.
    single: list[float] = []
    for mail in mails:
        worked = time.process_time()
        model.classify([mail])
        single.append(time.process_time() - worked)
    single.sort()
    print(
        f"one mail: p50 {single[len(single) // 2] * 1e3:.2f} ms, p95 {single[len(single) * 95 // 100] * 1e3:.2f} ms"
    )
    worked = time.process_time()
    model.classify(mails * 4)
    print(f"batches: {len(mails) * 4 / (time.process_time() - worked):.0f} mails/s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory of this process, training included: {peak} MB")


if __name__ == "__main__":
    {"speed": speed, "ablation": ablation, "curve": curve, "writers": writers, "held-out": held}[
        sys.argv[1]
    ]()
