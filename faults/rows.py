"""Every fault, in the order of the table."""

from faults.files import FILES
from faults.kills import KILLS
from faults.launchers import LAUNCHERS

ROWS = [*KILLS, *LAUNCHERS, *FILES]
