"""Text for pdfLaTeX: typeset as it is, breakable where it is long, and several lines in one place of a table."""

import re
import textwrap
import unicodedata
from collections.abc import Sequence

from experiments.visible import line

MATH = {
    **{"−": "-", "±": r"\pm", "×": r"\times", "·": r"\cdot", "≈": r"\approx", "≤": r"\le", "≥": r"\ge", "≠": r"\ne"},
    **{"→": r"\to", "←": r"\gets", "∞": r"\infty", "√": r"\surd", "∂": r"\partial", "∇": r"\nabla", "⊙": r"\odot"},
    **{"Σ": r"\Sigma", "Δ": r"\Delta", "Ω": r"\Omega", "Π": r"\Pi", "Φ": r"\Phi", "Λ": r"\Lambda", "Γ": r"\Gamma"},
    **{"α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\epsilon", "ζ": r"\zeta", "η": r"\eta"},
    **{"θ": r"\theta", "κ": r"\kappa", "λ": r"\lambda", "μ": r"\mu", "µ": r"\mu", "ν": r"\nu", "ξ": r"\xi"},
    **{"π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ": r"\phi", "χ": r"\chi", "ψ": r"\psi"},
    **{"ω": r"\omega", "ℓ": r"\ell", "‖": r"\Vert", "∈": r"\in", "∑": r"\sum", "«": r"\ll", "»": r"\gg"},
    **{sign: f"_{digit}" for digit, sign in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{sign: f"^{digit}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
}
NOBREAK, BREAK = "\u200c", "\u200b"  # between letters that would join; where a line may end
SIGNS = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "`": r"\`{}", '"': "''"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "–": "--", "—": "---"},
    **{"‘": "`", "’": "'", "“": "``", "”": "''", "•": r"\textbullet{}", NOBREAK: "{}", BREAK: r"\allowbreak{}"},
    **{sign: f"${name}$" for sign, name in MATH.items()},
}
OVER = dict(zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c", "`'^~=u.\"rHv", strict=True))
UNDER = {"\u0323": "d", "\u0327": "c", "\u0331": "b"}  # a letter may have one mark over it, and these
LATIN = {chr(code) for code in range(0xA1, 0x17F)} - set("ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲų")  # these need the encoding T1
CLUSTER = re.compile("[^\u0300-\u036f][\u0300-\u036f]*|[\u0300-\u036f]+")  # a character with its combining marks
JOINED = re.compile("(?<=[-'`\"])(?=[-'`\"])|(?<=[?!])(?=`)")  # -- is a dash, '' a quotation mark, ?` is ¿
LONG = re.compile(r"(\S{24})(?=\S{6})")  # longer words may be broken anywhere


def escape_latex(text: str) -> str:
    """Text that pdfLaTeX typesets as it is; a character that it has no glyph for is named by its code point."""
    return _escape(_spelled(text))


def wrapped(text: str, width: int) -> list[str]:
    """A text in escaped lines of about `width` characters."""
    return list(map(_escape, textwrap.wrap(_spelled(text), width))) or [""]


def _spelled(text: str) -> str:
    """The text on one line, with [U+6DF1] in place of what has no glyph."""
    return CLUSTER.sub(lambda found: _glyphs(found[0]), unicodedata.normalize("NFC", line(text)))


def _glyphs(cluster: str) -> str:
    """Characters that have a glyph: the same ones, or what they are made of, or else their code points."""
    for form in ("NFC", "NFD", "NFKD"):
        base, *marks = unicodedata.normalize(form, cluster)
        plain = form == "NFKD" and all(part.isascii() for part in (base, *marks))  # such as the ligature fi
        over = [mark for mark in marks if mark not in UNDER]
        bare = unicodedata.normalize("NFD", base) == base or not over  # one accent over a letter, not two
        letter = bare and (base.isascii() or base in LATIN or base in SIGNS)
        if plain or (letter and len(over) < 2 and set(over) <= OVER.keys()):
            return base + "".join(over + [mark for mark in marks if mark in UNDER])
    first, *rest = cluster
    return (_glyphs(first) if rest else _code(first)) + "".join(map(_code, rest))


def _code(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def _escape(spelled: str) -> str:
    return CLUSTER.sub(_typeset, LONG.sub(rf"\1{BREAK}", JOINED.sub(NOBREAK, spelled)))


def _typeset(cluster: re.Match) -> str:
    """`é` as it is, x\u0304 as \\={x}."""
    base, *marks = cluster[0]
    made = SIGNS.get(base, base)
    for mark in marks:
        made = rf"\{(OVER | UNDER)[mark]}{{{made}}}"
    return made


def stacked(lines: Sequence[str], side: str, level: str = "t") -> str:
    """Lines on top of each other in one place of a table, flush left (l), right (r) or in the middle (c).

    The first of them (level t) or the last (b) is on the line of the row.
    """
    if len(lines) < 2:
        return "".join(lines)
    inside = r" \\ ".join(map(cell, lines))
    return rf"\begin{{tabular}}[{level}]{{@{{}}{side}@{{}}}}{inside}\end{{tabular}}"


def cell(text: str) -> str:
    """A text that may begin a row: after `\\\\` or a rule, [ and * would be taken for its argument."""
    return f"{{}}{text}" if text.startswith(("[", "*")) else text
