"""Every fault, in the order of the table."""

from faults.kills import KILLS

ROWS = [*KILLS]
