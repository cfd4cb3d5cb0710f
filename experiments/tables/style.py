"""How the page of a table looks: rules instead of boxes, digits under digits, light and dark."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1d21; --paper: #fff; --faint: #6a7079; --rule: #d5d9df; --better: #17703a;
  --worse: #b3261e; --trouble: #8a5a00; --beside: #0b5f8a; --row: #f5f7f9 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6ea; --paper: #16181c; --faint: #979da8; --rule: #3a3f48;
  --better: #6fcf8e; --worse: #ff8a80; --trouble: #e6b450; --beside: #7cc4ee; --row: #1e2126 } }
body { margin: 2rem auto; max-width: 82rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif }
section { margin-bottom: 3rem }
h2 { font-size: 1.15rem; margin: 0 0 .8rem } h3 { font-size: 1rem; margin: 1rem 0 .4rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; border-top: 2px solid var(--ink); border-bottom: 2px solid var(--ink);
  font-variant-numeric: tabular-nums }
th, td { padding: .28rem .7rem; text-align: right; vertical-align: top; white-space: nowrap; font-weight: 400 }
tbody th, th.label { text-align: left }
thead tr:last-child th { border-bottom: 1px solid var(--ink); font-weight: 600; vertical-align: bottom }
thead th.long { white-space: normal; min-width: 9rem }
.over th { text-align: center; font-weight: 600; padding-bottom: 0; white-space: normal }
.over th span { display: block; border-bottom: 1px solid var(--faint); padding-bottom: .2rem }
.edge { padding-left: 1.8rem }
.family th { font-style: italic; padding-top: .7rem; color: var(--faint) }
.family ~ tr > th:first-child { padding-left: 1.7rem }
tbody tr:not(.family):hover > * { background: var(--row) }
tbody tr.first > * { border-top: 1px solid var(--rule) } thead + tbody > tr.first:first-child > * { border-top: 0 }
.better { color: var(--better); font-weight: 650 } .worse { color: var(--worse) } .trouble { color: var(--trouble) }
.none, .best { color: var(--faint) } .best { font-size: .82em } .beside { color: var(--beside) }
span.trouble ~ .number { display: block; font-size: .9em; color: var(--faint) }
abbr { text-decoration: none; display: inline-block; width: .9em; margin-left: .3em }
table:has(abbr) td > .number:not(:has(abbr), .trouble ~ *)::after { content: ""; display: inline-block; width: 1.2em }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 1rem 0 0; font-size: .86rem }
dt { color: var(--faint); grid-column: 1 } dd { margin: 0; grid-column: 2; overflow-wrap: anywhere }
dd.check { color: var(--trouble) } code { font-size: .92em; white-space: pre-wrap }
@media (max-width: 40rem) { dl { display: block } dt { margin-top: .5rem } }
"""
