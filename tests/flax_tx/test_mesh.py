"""Cells on several devices: what needs eight is run in a process of its own (eight_devices.py)."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from flax_tx import axes
from tests.flax_tx import eight_devices, tiny

ROOT = Path(__file__).parents[2]
EIGHT = "--xla_force_host_platform_device_count=8"


def on_eight_devices(*arguments):
    """pytest in a process that has eight devices."""
    environment = os.environ | {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {EIGHT}", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "pytest", "-q", "-s", "--durations=0", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_cells_on_eight_devices_are_cells_on_one():
    done = on_eight_devices("tests/flax_tx/eight_devices.py")
    print(done.stdout[-20000:], done.stderr[-2000:])
    assert done.returncode == 0
    (losses,) = [line.split("LOSSES ")[1] for line in done.stdout.splitlines() if "LOSSES" in line]
    assert losses == np.asarray(eight_devices.cell().trained[1]["train_loss"]).tobytes().hex()


def test_no_mesh_compiles_nothing_differently():
    program, numbers = tiny.cell()
    text = tiny.init(program).lower(numbers).as_text()
    assert "sharding" not in text.lower().replace("mhlo.num_partitions", "") and "num_partitions = 1" in text


@pytest.mark.parametrize(
    ("names", "shape", "split"),
    [
        (("embed", "heads"), (2, 8, 12), ((), ("fsdp",), ("tensor",))),
        (("embed", "vocab"), (8, 5), (("fsdp",), ())),  # 5 classes cannot be halved: whole
        (("batch", None), (8, 3), (("data", "fsdp"), ())),
        (("batch", None), (2, 3), ((), ())),
        ((), (8, 8), ((), ())),
    ],
)
def test_an_axis_is_split_where_the_mesh_divides_it(names, shape, split):
    assert axes.split(names, shape, {"data": 2, "fsdp": 2, "tensor": 2}) == split


REMAT = {"model.num_layers": 3, "model.wiring": "siamese", "model.dropout.branch": 0.2}


@pytest.mark.parametrize("policy", ["block", "dots"])
def test_what_is_computed_again_is_what_was_there(policy):
    plain, again = (tiny.cell(REMAT | {"model.remat": name})[0] for name in ("none", policy))
    params, numbers = tiny.params(plain), tiny.cell(REMAT)[1]
    (loss, sown), grads = tiny.gradients(plain, collect=True)(params, numbers, tiny.batch())
    (same, sown_again), others = tiny.gradients(again, collect=True)(params, numbers, tiny.batch())
    np.testing.assert_allclose(same, loss, rtol=1e-6)
    check = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(check, others, grads)
    jax.tree.map(check, sown_again, sown)


def test_what_is_computed_again_is_not_kept():
    deep = {"model.num_layers": 12, "data.seq_len": 64, "model.unroll": 12}

    def kept(policy):
        program, numbers = tiny.cell(deep | {"model.remat": policy})
        lowered = tiny.gradients(program).lower(tiny.params(program), numbers, tiny.batch(8, 64))
        return lowered.compile().memory_analysis().temp_size_in_bytes

    none, block, dots = map(kept, ("none", "block", "dots"))
    assert block < dots < none
    assert block < none / 2
