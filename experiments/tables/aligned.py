"""The places of one column of a LaTeX table, numbers under numbers, marks under marks: short ones hold a phantom."""

import re
from collections.abc import Sequence

from experiments.paper import split
from experiments.tables.faces import Face
from experiments.tables.typeset import escape_latex, stacked

MARKS = {"better": "+", "worse": "−", "not separated": "≈"}
EXPONENT = re.compile(r"e([+-])0*(\d+)$")
CLASSES = ("0123456789", ".", ",", "-")


def column(faces: Sequence[Face]) -> list[str]:
    """The cells of a column that is set flush right."""
    published = [split(face.quoted) for face in faces]
    bodies = [_number(face, faces) or escape_latex(body) for face, (body, _) in zip(faces, published, strict=True)]
    rest = (
        [_best(face) for face in faces],
        [f"~{escape_latex(face.beside)}" * bool(face.beside) for face in faces],
        ["".join(map(_mark, marks)) for _, marks in published],
    )
    stacks = (stacked(_lines(face, body), "r") for face, body in zip(faces, bodies, strict=True))
    return ["".join(parts) for parts in zip(stacks, *map(flush_left, rest), strict=True)]


def _lines(face: Face, number: str) -> list[str]:
    """Trouble, then the number of what is left; the verdict is part of the number."""
    return [*filter(None, [*map(escape_latex, face.trouble.split(", ")), number])] or [""]


def _number(face: Face, faces: Sequence[Face]) -> str:
    """`$1.851 \\pm 0.012^{+}$`, bold where it is better; below trouble it keeps to itself."""
    if not face.number:
        return ""
    beside = [face] if face.trouble else [other for other in faces if not other.trouble]
    shown = digits(face.number) + _spread(face.spread, [other.spread for other in beside])
    bold = rf"\mathbf{{{shown}}}" if face.verdict == "better" else shown
    sign = escape_latex(MARKS[face.verdict]).strip("$") if face.verdict else r"\phantom{+}"
    return f"{'survivors ' * face.survivors}${bold}{f'^{{{sign}}}' * any(other.verdict for other in beside)}$"


def _spread(spread: str, others: Sequence[str]) -> str:
    """`\\pm 0.012`, as wide as the longest of the column."""
    if spread:
        return rf" \pm {_pad(spread, others)}{digits(spread)}"
    return rf"\phantom{{{{}} \pm {digits(max(others, key=len))}}}" if any(others) else ""


def digits(number: str) -> str:
    """A number in mathematics: 1,024 without the gap of a comma, 3e-06 as a power of ten."""
    return EXPONENT.sub(lambda found: rf"{{\times}}10^{{{found[1].strip('+')}{found[2]}}}", number).replace(",", "{,}")


def _pad(number: str, others: Sequence[str]) -> str:
    """A phantom of what a number has less of than the longest of its column."""
    count = lambda text, kind: sum(character in kind for character in EXPONENT.sub("", text))  # noqa: E731
    lack = "".join(kind[0] * (max(count(other, kind) for other in others) - count(number, kind)) for kind in CLASSES)
    return rf"\phantom{{{lack.replace(',', '{,}')}}}" if lack else ""


def _best(face: Face) -> str:
    return rf" {{\tiny @{escape_latex(face.nuisance)}}}" if face.nuisance else ""


def _mark(mark: str) -> str:
    """A mark of a published number, a word apart from it where it is in brackets."""
    return "~" * mark.startswith("[") + escape_latex(mark)


def flush_left(texts: Sequence[str]) -> list[str]:
    """Texts that all take the room of the longest."""
    longest = max(texts, key=len)
    return [
        text
        if len(text) == len(longest)
        else rf"\rlap{{{text}}}\phantom{{{longest}}}"
        if text
        else rf"\phantom{{{longest}}}"
        for text in texts
    ]
