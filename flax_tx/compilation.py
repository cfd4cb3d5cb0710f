"""How programs are compiled: options of XLA for the CPU, which of them this version has, and exact products."""

import functools
from typing import Any

import jax

# On CPU one core computes one cell, so that its numbers do not depend on how many cores there are.
# Optimisation level 1 compiles faster than 3 and the code is as fast: the time is in matrix products.
COMPILE = {"xla_cpu_multi_thread_eigen": False, "xla_backend_optimization_level": 1}
# What runs rarely is better compiled quickly than well.
COMPILE_QUICKLY = COMPILE | {"xla_cpu_use_fusion_emitters": False}
# What runs a few times is best not optimised at all.
COMPILE_AT_ONCE = COMPILE_QUICKLY | {"xla_backend_optimization_level": 0}


def known(options: dict[str, Any]) -> dict[str, Any] | None:
    """Those of the compiler options that this version of XLA has, on a CPU; none elsewhere."""
    if jax.default_backend() != "cpu":
        return None
    return {name: value for name, value in options.items() if has_option(name, value)}


@functools.cache
def has_option(name: str, value: Any) -> bool:
    """Whether the compiler takes the option: they come and go between versions."""
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def exact_products() -> str:
    """Has products of float32 made in float32, also where TF32 (GPUs) or bfloat16 (TPUs) is the default of the device.

    Gives the precision in force, by JAX's name; what JAX_DEFAULT_MATMUL_PRECISION says stays. bfloat16 is not touched.
    """
    if jax.config.jax_default_matmul_precision is None and jax.default_backend() != "cpu":
        jax.config.update("jax_default_matmul_precision", "float32")
    return jax.config.jax_default_matmul_precision or "float32"
