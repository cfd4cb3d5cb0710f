"""What more devices bring: lanes, nodes of Ray, the overhead of a program, and a model of a cluster of 1,000 devices.

    python -m benchmarks.scaling            about fifteen minutes; writes benchmarks/results/scaling.{json,md}
    python -m benchmarks.scaling --quick    a small sweep, once, that shows that all of it runs; writes nothing

Needs the environment of `make cluster-test` (Ray, simpy), and leave to make network namespaces.
"""
