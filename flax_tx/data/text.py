"""From the records of a text corpus to byte arrays, and the losses that need no model (NumPy only)."""

import hashlib

import numpy as np

VOCAB_SIZE = 256  # bytes
SEPARATOR = b"\0"  # between documents, and padding; never inside a document
NO_LABEL = -1

Records = dict[str, list[tuple[bytes, int]]]  # split -> (text, label), NO_LABEL where there is none


def fingerprint(records: Records) -> str:
    """Hash of every record in order. (The bytes of an ArrayRecord file differ from one preparation to the next.)"""
    digest = hashlib.sha256()
    for split, rows in records.items():
        digest.update(f"{split} {len(rows)}\n".encode())
        for document, label in rows:
            digest.update(f"{label} {len(document)} ".encode())
            digest.update(document)
    return digest.hexdigest()[:16]


def streams(records: Records) -> dict[str, np.ndarray]:
    """split -> uint8 [N]: the split's documents, joined with `SEPARATOR`."""
    return {
        split: np.frombuffer(SEPARATOR.join(document for document, _ in rows), np.uint8)
        for split, rows in records.items()
    }


def documents(records: Records, seq_len: int) -> dict[str, np.ndarray]:
    """`{split}_tokens` uint8 [n, seq_len] (cut or padded at the end), `_lengths` int32 [n], `_labels` int32 [n]."""
    arrays = {}
    for split, rows in records.items():
        cut = [document[:seq_len] for document, _ in rows]
        padded = b"".join(document.ljust(seq_len, SEPARATOR) for document in cut)
        arrays[f"{split}_tokens"] = np.frombuffer(padded, np.uint8).reshape(len(rows), seq_len)
        arrays[f"{split}_lengths"] = np.array([len(document) for document in cut], np.int32)
        arrays[f"{split}_labels"] = np.array([label for _, label in rows], np.int32)
    return arrays


def measure_stream(records: Records) -> dict:
    """The fields of a `Description` that a language-modelling corpus decides."""
    arrays = streams(records)
    train, validation = (np.bincount(arrays[split], minlength=VOCAB_SIZE) for split in ("train", "validation"))
    sizes = {split: array.size for split, array in arrays.items()}
    return {
        "unigram_loss": cross_entropy(train, validation),
        "bigram_loss": cross_entropy(pair_counts(arrays["train"]), pair_counts(arrays["validation"])),
        "sizes": sizes,
        "max_seq_len": min(sizes.values()) - 1,
    }


def measure_documents(records: Records) -> dict:
    """The fields of a `Description` that a classification corpus decides."""
    labels = {split: [label for _, label in rows] for split, rows in records.items()}
    num_labels = max(map(max, labels.values())) + 1
    train, validation = (np.bincount(labels[split], minlength=num_labels) for split in ("train", "validation"))
    return {
        "unigram_loss": cross_entropy(train, validation),
        "bigram_loss": None,
        "sizes": {split: len(rows) for split, rows in records.items()},
        "max_seq_len": max(len(document) for rows in records.values() for document, _ in rows),
    }


def cross_entropy(train: np.ndarray, held_out: np.ndarray) -> float:
    """Mean of -ln p over the events counted in `held_out`; p is `train` + 1, normalised over the last axis; nats."""
    smoothed = train + 1.0
    surprise = -np.log(smoothed / smoothed.sum(axis=-1, keepdims=True))
    return float((held_out * surprise).sum() / held_out.sum())


def pair_counts(tokens: np.ndarray) -> np.ndarray:
    """counts[a, b] = how often byte b follows byte a; a megabyte at a time, since a pair takes eight bytes."""
    counts = np.zeros(VOCAB_SIZE**2, np.int64)
    for start in range(0, tokens.size - 1, 2**20):
        chunk = tokens[start : start + 2**20 + 1].astype(np.intp)
        counts += np.bincount(chunk[:-1] * VOCAB_SIZE + chunk[1:], minlength=VOCAB_SIZE**2)
    return counts.reshape(VOCAB_SIZE, VOCAB_SIZE)
