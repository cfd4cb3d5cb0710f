"""Who calls run_program: this process (inline), or lanes, a worker process per core (local).

An executor is a function (workdir, programs {id: cells to run}, lanes) -> iterator of events. Besides the engine's
events it gives {"event": "program", "program", "cells"} when one starts, and {"event": "retry", "program", "cells",
"reason"} when a lane was lost. Every event carries "lane".
"""
