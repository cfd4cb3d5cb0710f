"""Names that somebody may give to an arm, a sweep or an error, each with what it would do where it is not text."""

from experiments.visible import line

NAMES = {
    "html": "<script>alert(\"x\")</script> & 'q' <b>b</b> &lt;",
    "markdown": "a|b `c` *d* _e_ [f](http://g) # h ![i](j) ~~k~~ @l $m$ \\| <!-- n",
    "rich markup": "[red]r[/red] [/] [link=file:///etc]l[/link] :boom:",
    "latex": r"\input{/etc/passwd} $$x$$ %y {z} ^^M a_b c^d #1 & ~ \\ \end{document} --q ?`r `s' ''t''",
    "row start": "[2cm] *star",
    "escapes": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J \x9b31m \x00nul \x08\x7fdel",
    "direction": "abc \u202egnp.exe\u202c \u2066x\u2069 \u200fy",
    "invisible": "a\u200bb\u2060c\ufeffd\xade\U000e0041f",
    "lines": "one\ntwo\r\nthree\tfour\x0bfive\x85six\u2028seven\u2029eight",
    "scripts": "é ñ ß Ø 深さ שלום مرحبا ½ ⅓ ﬁ 𝒳 👩‍👩‍👧",
    "combining": "Zalgo\u0301\u0302\u0303\u0304 e\u0301 x\u0304",
    "surrogate": "half \ud83d",
    "formula": '=HYPERLINK("http://x","y")',
    "option": "-rf --help +1 @cmd",
    "long": "very_long." * 40,
    "words": "so many words " * 20,
    "path": "../../etc/passwd\\..\\x:y*?|",
    "format": "{0} %s {name} %(x)s",
    "blank": " \t ",
    "list": "- item",
    "ordered": "1. item",
    "plus": "+ item",
    "links": "http://x.example www.x.example :+1: :tada: a@b.example #1",
    "number": "1e-3",
}
HIDDEN = [chr(code) for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) != "\n"] + [
    *"\xad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff",
    "\ud83d",
    "\U000e0041",
]


def hidden_in(text: str) -> set[str]:
    """The characters of a text that a terminal would obey or nobody would see."""
    return {character for character in HIDDEN if character in text}


def seen(name: str) -> str:
    """How a name reads on one line."""
    return line(name)
