"""What training takes of memory, in closed form and without JAX: its state, and what gradients need of each block."""

from collections.abc import Callable

from flax_tx.config import blocks, encoder
from flax_tx.cost import params, shapes, sublayers
from flax_tx.layout import kind, steps
from flax_tx.schema import Config, Model
from flax_tx.wiring import WIRINGS
from flax_tx.wiring.row import block_size

NUMBER = 4  # bytes; a CPU computes bfloat16 in float32, and keeps it so
SLACK = 1.3  # for norms and copies that are not counted; benchmarks.cost_model has what XLA asks for beside it

CARRIED: dict[str, Callable[[Model, int], int]] = {  # stream -> its arrays of width D, for so many steps; others: 1
    **dict.fromkeys(("bottom-to-top", "dual", "siamese"), lambda model, steps: 2),
    **dict.fromkeys(("averaged", "combined"), lambda model, steps: model.num_layers + 2),
    **dict.fromkeys(("hyper", "hyper-dynamic", "hyper-manifold"), lambda model, steps: model.num_streams),
    "attended": lambda model, steps: steps + 1,
    "attended-blocks": lambda model, steps: -(-steps // block_size(steps, model.history_blocks)) + 1,
}


def state_bytes(num_params: int, optimizer: str) -> int:
    """Bytes of parameters and moments, all float32: Adam keeps two moments, SGD one."""
    return 4 * num_params * (2 if optimizer == "sgd" else 3)


def training_bytes(config: Config, vocab_size: int, outputs: int, task: str = "lm") -> int:
    """Bytes that the training of one cell takes, at most about: state, gradient and update; what is kept of each block,
    and all of the block whose gradient is taken; the logits of the classes and their gradient."""
    num_params = params(config.model, vocab_size, outputs, config.data.seq_len, task)
    tokens = config.train.batch_size * config.data.seq_len
    predictions = config.train.batch_size if task == "classify" else tokens
    translates = task == "translate"
    stacks = [(config.model, translates)] + [(encoder(config.model), False)] * translates
    per_token = sum(stack_numbers(model, cross, config.data.seq_len) for model, cross in stacks)
    states = state_bytes(num_params, config.optim.name) + 8 * num_params
    return states + int(SLACK * NUMBER * (tokens * per_token + 2 * predictions * outputs))


def stack_numbers(model: Model, cross: bool, length: int) -> int:
    """Numbers per token that the backward pass of a stack reads, and those of its largest block."""
    runs = blocks(model)
    number = sum(run.num_layers * len(steps(run.layout, run.num_ffn, cross)) for run in runs)
    stream = model.width * CARRIED.get(WIRINGS[model.wiring].stream, lambda *_: 1)(model, number)
    kept = sum(run.num_layers * (stream + kept_numbers(run, stream, cross, length)) for run in runs)
    return kept + max(stream + all_numbers(run, stream, cross, length) for run in runs)


def kept_numbers(run: Model, stream: int, cross: bool, length: int) -> int:
    """Numbers per token that are kept of a block of a run beside its input, as flax_tx.stack has it: of a loop what
    model.remat says; of unrolled layers what XLA finds worth keeping, nearly all."""
    if run.num_layers <= run.unroll and run.remat == "none":
        return all_numbers(run, stream, cross, length)
    products = sum(fan_out for name in sublayers(run, cross) for _, fan_out in shapes(run, name))
    attention = attentions(run, cross) * (run.num_heads * length + run.inner_width())
    return {"none": products + attention, "dots": products, "block": 0}[run.remat]


def all_numbers(run: Model, stream: int, cross: bool, length: int) -> int:
    """Numbers per token of all that a block reads or makes: the ends of its kernels, the attention weights, and twice
    the stream at each step."""
    ends = sum(sum(shape) for name in sublayers(run, cross) for shape in shapes(run, name))
    weights = attentions(run, cross) * run.num_heads * length
    return ends + weights + 2 * len(steps(run.layout, run.num_ffn, cross)) * stream


def attentions(run: Model, cross: bool) -> int:
    """How many sublayers of a block attend."""
    return sum(kind(name) != "ffn" for name in sublayers(run, cross))
