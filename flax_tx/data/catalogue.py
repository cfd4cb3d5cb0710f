"""Any TFDS data set of text, read from disk without TensorFlow; nothing here downloads.

The document is the feature `text`, or else the first Text feature in alphabetical order; the label is the feature
`label`, or else the first ClassLabel. A data set with a label is for classification, and serves language modelling too.

Split rule. `train` must exist. `validation` and `test` are used where they exist and their labels are not hidden (-1).
Each missing one is a tenth cut from the end of `train`, in the order validation, test:
train[:90%] + train[90%:], or, where both are missing, train[:80%] + train[80%:90%] + train[90%:].
"""

import difflib
import re
from pathlib import Path

import tensorflow_datasets as tfds

from flax_tx.data import NAMES, corpora, text
from flax_tx.errors import UserError, nearest

NAME = re.compile(r"\w+(/[\w.\-]+)?(:\d+\.\d+\.\d+)?")  # set, set/config, set/config:1.0.0
MAX_BYTES = 2**30  # the corpus lies on the device as one array, with 32-bit offsets


def find(name: str, folder: Path) -> tfds.core.DatasetBuilder:
    """The builder called `name`, of ours, the catalogue or the folder; UserError if there is none or it has no text."""
    if name not in corpora.WHEELS:
        import tensorflow_datasets.text  # noqa: F401  registers the older half of the catalogue
    if not NAME.fullmatch(name):
        raise _unknown(name)
    try:
        builder = tfds.builder(name, data_dir=folder)
    except ValueError:
        raise _unknown(name) from None
    text_feature(builder)
    return builder


def is_prepared(builder: tfds.core.DatasetBuilder) -> bool:
    """Whether the data set lies finished on disk. (TFDS renames the folder as its last act.)"""
    return (Path(builder.data_path) / "dataset_info.json").is_file()


def tasks(builder: tfds.core.DatasetBuilder) -> tuple[str, ...]:
    """The tasks this data set can serve, its default first."""
    return ("classify", "lm") if label_feature(builder) else ("lm",)


def text_feature(builder: tfds.core.DatasetBuilder) -> str:
    """Name of the feature that holds the document; UserError where there is no text."""
    name = _feature(builder, tfds.features.Text, "text")
    if name is None:
        raise UserError(f"data.name = {builder.info.name!r}: has no text feature, only {sorted(builder.info.features)}")
    return name


def label_feature(builder: tfds.core.DatasetBuilder) -> str | None:
    """Name of the feature that holds the class, if there is one."""
    return _feature(builder, tfds.features.ClassLabel, "label")


def num_classes(builder: tfds.core.DatasetBuilder) -> int:
    """Number of classes; 0 without a label."""
    label = label_feature(builder)
    return builder.info.features[label].num_classes if label else 0


def source(builder: tfds.core.DatasetBuilder) -> str:
    """What was read, by whom it is, and under what licence, in one line."""
    info = builder.info
    licence = info.redistribution_info.license or "not stated by TFDS"
    feature = f"feature {text_feature(builder)!r}"
    parts = [f"TFDS {info.full_name}", feature, info.homepage, info.citation, f"licence: {licence}"]
    return "; ".join(" ".join(part.split()) for part in parts if part)


def records(builder: tfds.core.DatasetBuilder) -> text.Records:
    """Every record of train, validation and test: (text as bytes, label). Empty documents are left out."""
    feature, label = text_feature(builder), label_feature(builder)

    def rows(instruction: str) -> list[tuple[bytes, int]]:
        examples = iter(builder.as_data_source(instruction))
        pairs = ((_document(row[feature]), int(row[label]) if label else text.NO_LABEL) for row in examples)
        return [pair for pair in pairs if pair[0]]

    read = {split: rows(instruction) for split, instruction in split_instructions(builder).items()}
    if empty := [split for split, pairs in read.items() if not pairs]:
        raise UserError(f"data.name = {builder.info.name!r}: no documents in {', '.join(empty)}")
    return read


def split_instructions(builder: tfds.core.DatasetBuilder) -> dict[str, str]:
    """Our split -> the TFDS slice it is read from, by the module's split rule."""
    if "train" not in builder.info.splits:
        raise UserError(f"data.name = {builder.info.name!r}: has no split train, only {sorted(builder.info.splits)}")
    missing = [split for split in ("validation", "test") if not _usable(builder, split)]
    kept = 100 - 10 * len(missing)
    cut = {split: f"train[{kept + 10 * i}%:{kept + 10 * (i + 1)}%]" for i, split in enumerate(missing)}
    whole = {"train": f"train[:{kept}%]", "validation": "validation", "test": "test"}
    return whole | cut


def _usable(builder: tfds.core.DatasetBuilder, split: str) -> bool:
    label = label_feature(builder)
    return split in builder.info.splits and (label is None or builder.as_data_source(split)[0][label] >= 0)


def _feature(builder: tfds.core.DatasetBuilder, kind: type, preferred: str) -> str | None:
    names = sorted(name for name, feature in builder.info.features.items() if isinstance(feature, kind))
    return preferred if preferred in names else next(iter(names), None)


def _document(value: bytes) -> bytes:
    return value.replace(text.SEPARATOR, b" ").strip()


def _unknown(name: str) -> UserError:
    catalogue = tfds.list_builders(with_community_datasets=False)
    base, _, config = name.partition("/")
    bases = difflib.get_close_matches(base, catalogue) if config else []
    configured = [f"{near}/{one}" for near in bases for one in tfds.builder_cls(near).builder_configs]
    return UserError(f"data.name = {name!r}: not a data set{nearest(name, configured or [*NAMES, *catalogue])}")
