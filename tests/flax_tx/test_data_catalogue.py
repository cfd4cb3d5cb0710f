"""Data sets that are not ours, read from disk: a small builder stands for the catalogue; nothing is downloaded."""

import importlib.util
import socket

import numpy as np
import pytest
import tensorflow_datasets as tfds

from flax_tx import data as data_sets
from flax_tx.data import catalogue, prepare, text
from flax_tx.errors import UserError
from flax_tx.schema import Data

COUNT = 50


class SmallTalk(tfds.core.GeneratorBasedBuilder):
    """Sentences with three labels; the labels of its test split are hidden, and there is no validation split."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos = None  # nothing to download

    def _info(self):
        sentence, label = tfds.features.Text(), tfds.features.ClassLabel(num_classes=3)
        features = tfds.features.FeaturesDict({"idx": tfds.features.Scalar(np.int32), "sentence": sentence, "y": label})
        return tfds.core.DatasetInfo(builder=self, features=features, homepage="https://example.org/")

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(hidden=False), "test": self._generate_examples(hidden=True)}

    def _generate_examples(self, hidden):
        for i in range(COUNT):
            yield i, {"idx": i, "sentence": f"sentence\0{i} \N{POUND SIGN}", "y": -1 if hidden else i % 3}
        yield COUNT, {"idx": COUNT, "sentence": " ", "y": 0}


class UnlabelledTalk(SmallTalk):
    """The same sentences without labels: nothing of its test split is hidden."""

    def _info(self):
        features = tfds.features.FeaturesDict({"sentence": tfds.features.Text()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _generate_examples(self, hidden):
        for i, record in super()._generate_examples(hidden):
            yield i, {"sentence": f"{record['sentence']}{'?' * hidden}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    for builder in (SmallTalk, UnlabelledTalk):
        builder(data_dir=folder).download_and_prepare(file_format="array_record")
    return folder


@pytest.fixture(autouse=True)
def _data_dir(folder, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    monkeypatch.setattr(socket, "create_connection", _refuse)


def _refuse(address, timeout):
    raise OSError("no network here")


def test_missing_and_hidden_splits_are_cut_from_train(folder):
    builder = prepare.ready("small_talk", folder)
    cut = {"train": "train[:80%]", "validation": "train[80%:90%]", "test": "train[90%:100%]"}
    assert catalogue.split_instructions(builder) == cut
    documents = [document for rows in catalogue.records(builder).values() for document, _ in rows]
    assert sorted(documents) == sorted(f"sentence {i} \N{POUND SIGN}".encode() for i in range(COUNT))


def test_a_missing_split_is_cut_and_a_present_one_is_kept(folder):
    builder = prepare.ready("unlabelled_talk", folder)
    kept = {"train": "train[:90%]", "validation": "train[90%:100%]", "test": "test"}
    assert catalogue.split_instructions(builder) == kept
    records = catalogue.records(builder)
    assert all(document.endswith(b"?") == (split == "test") for split, rows in records.items() for document, _ in rows)


def test_a_label_makes_it_classification_and_text_alone_language_modelling():
    told = data_sets.describe(Data(name="small_talk"))
    assert (told.task, told.num_classes, sum(told.sizes.values())) == ("classify", 3, COUNT)
    arrays = data_sets.load(Data(name="small_talk", seq_len=4))
    assert bytes(arrays["test_tokens"][0]) == b"sent" and arrays["test_labels"].min() >= 0
    assert "'sentence'" in told.source and "https://example.org/" in told.source
    stream = data_sets.load(Data(name="unlabelled_talk"))["test"]
    assert stream.tobytes().count(text.SEPARATOR) == COUNT  # between 51 documents: the last is "?"
    (line,) = data_sets.problems(Data(name="unlabelled_talk", task="classify"))
    assert line == "data.task = 'classify': unlabelled_talk expects auto or lm"


def test_the_same_sentences_with_one_changed_have_another_fingerprint(tmp_path, monkeypatch):
    before = data_sets.describe(Data(name="small_talk")).fingerprint
    unchanged, changed = tmp_path / "unchanged", tmp_path / "changed"
    SmallTalk(data_dir=unchanged).download_and_prepare(file_format="array_record")
    monkeypatch.setattr(SmallTalk, "_generate_examples", _with_one_label_changed(SmallTalk._generate_examples))
    SmallTalk(data_dir=changed).download_and_prepare(file_format="array_record")
    fingerprints = []
    for place in (unchanged, changed):
        monkeypatch.setenv("TFDS_DATA_DIR", str(place))
        fingerprints.append(data_sets.describe(Data(name="small_talk")).fingerprint)
    assert fingerprints[0] == before != fingerprints[1]


def _with_one_label_changed(generate):
    def changed(self, hidden):
        return ((i, record | {"y": 2} if i == 0 else record) for i, record in generate(self, hidden))

    return changed


def test_a_set_of_the_catalogue_is_never_downloaded_by_reading(folder):
    (line,) = data_sets.problems(Data(name="glue/sst2"))
    command = "python -m flax_tx.data.prepare glue/sst2"
    assert line == f"data.name = 'glue/sst2': not prepared in {folder}; run: {command}"
    with pytest.raises(UserError, match="not prepared"):
        data_sets.load(Data(name="glue/sst2"))


def test_a_set_without_text_is_refused():
    (line,) = data_sets.problems(Data(name="mnist"))
    assert line == "data.name = 'mnist': has no text feature, only ['image', 'label']"


def test_a_format_without_random_access_is_refused(tmp_path, monkeypatch):
    SmallTalk(data_dir=tmp_path).download_and_prepare(file_format="array_record")
    about = tmp_path / "small_talk" / "1.0.0" / "dataset_info.json"
    about.write_text(about.read_text().replace("array_record", "tfrecord"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    (line,) = data_sets.problems(Data(name="small_talk"))
    assert "prepared as tfrecord, expected array_record; remove" in line


@pytest.mark.parametrize(
    ("name", "tensorflow", "expected"),
    [
        ("kvj", True, "data.name = 'kvj': not a data set; did you mean kjv?\n"),
        ("imdb_reviews", False, "run: pip install tensorflow-cpu\n"),
        ("imdb_reviews", True, "no network: none of ai.stanford.edu answers within 5 s\n"),
    ],
)
def test_the_command_says_in_one_line_why_it_cannot(name, tensorflow, expected, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if tensorflow else None)
    assert prepare.main([name, f"--data_dir={tmp_path}"]) == 2
    output, error = capsys.readouterr()
    assert output == "" and error.count("\n") == 1 and error.endswith(expected)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert prepare.main(["kjv", f"--data_dir={tmp_path / 'file' / 'folder'}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("data.name = 'kjv': could not be prepared: ") and error.count("\n") == 1


@pytest.mark.parametrize("name", ["kjv", "small_talk"])
def test_the_command_prepares_ours_and_the_catalogue(name, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert prepare.main([name, f"--data_dir={tmp_path}"]) == 0
    assert capsys.readouterr().out == f"{name}: ready in {tmp_path / name / '1.0.0'}\n"
    assert prepare.ready(name, tmp_path)
