"""Tests compile into a cache of their own, so that equal programs are compiled once in a run."""

import os

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # a busy machine is no mistake of the code
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """A fresh compilation cache, in this process and in every process that a test starts."""
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path_factory.mktemp("xla"))
    from experiments import compiled

    compiled.cache_compilations()
