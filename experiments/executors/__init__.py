"""Who calls the engine: this process (inline), lanes, a worker process per core or GPU, here (local) or on the nodes of
a cluster (ray), or all processes of a launch together (distributed).

An executor is a function (workdir, programs {id: cells to run}, settings, leases) -> iterator of events. Besides the
engine's events it gives

    {"event": "program", "program", "cells"}            one starts
    {"event": "retry", "program", "cells", "reason"}    a lane was lost
    {"event": "waiting", "program", "cells", "holder"}  nothing is left but what another launcher runs
    {"event": "found", ...}                             as "cell", for one that another launcher ran

Every event carries "lane", None where no lane of this launcher had to do with it.
"""
