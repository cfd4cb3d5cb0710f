"""What a config costs, in closed form and without JAX: parameters and FLOPs of a step."""

import math

from flax_tx.axes import ARRAYS, parts
from flax_tx.config import blocks, encoder
from flax_tx.layout import kind, steps
from flax_tx.methods import VALUE_RESIDUALS
from flax_tx.norms import QK_NORMS, size
from flax_tx.schema import ACTIVATIONS, Config, Model
from flax_tx.values import place_of
from flax_tx.wiring import WIRINGS

EXTRA_NORMS = {  # stream -> norms beside the slots: (per step, per block, at the close), of the model's kind and width
    "dual": (0, 0, 1),
    "siamese": (1, 0, 2),
    "combined": (0, 1, 0),
    "hyper-dynamic": (1, 0, 0),
}


def params(model: Model, vocab_size: int, outputs: int, seq_len: int, task: str = "lm") -> int:
    """How many numbers are stored as parameters; σReparam's power vectors count among them.

    Vaswani et al. 2017: 4D² per attention, whatever the head count, when K = D/H.
    """
    whole = model.settled()
    embedding = model.width * (vocab_size + (seq_len if model.positions == "learned" else 0))
    ends = norm_params(whole, whole.embed_norm, model.width) + outputs * (whole.reparam == "sphere")
    translates = task == "translate"
    stacks = stack_params(model, translates) + (stack_params(encoder(model), False) if translates else 0)
    return embedding + model.width * outputs + ends + stacks


def stack_params(model: Model, cross: bool) -> int:
    """Parameters of all runs of blocks and of what closes the stream."""
    runs = sum(block.num_layers // block.tie * block_params(model, block, cross) for block in blocks(model))
    place, row = place_of(model, cross), WIRINGS[model.wiring]
    closing = sum(math.prod(array.dims(place)) for array in row.trained().values() if array.per == "close")
    norms = model.holds("final") + EXTRA_NORMS.get(row.stream, (0, 0, 0))[2]
    return runs + closing + norms * norm_params(model, "norm", model.width)


def flops_per_step(config: Config, outputs: int, task: str = "lm") -> int:
    """Floating-point operations of one training step: three times the matrix products of a forward pass.

    6 per kernel entry and token, and 12 L K per head and token for QKᵀ and its product with V. What model.remat
    computes again is not counted: this is the work that the model needs, by which speeds are compared.
    """
    model, length = config.model, config.data.seq_len
    tokens = config.train.batch_size * length
    predictions = config.train.batch_size if task == "classify" else tokens
    stacks = [(model, True), (encoder(model), False)] if task == "translate" else [(model, False)]
    per_token = sum(
        block.num_layers * (6 * kernels(block, cross) + 12 * length * block.inner_width() * (1 + cross))
        for stack, cross in stacks
        for block in blocks(stack)
    )
    return tokens * per_token + 6 * predictions * model.width * outputs


def params_held(config: Config, vocab_size: int, outputs: int, task: str = "lm") -> int:
    """Parameters that each device of the config's mesh holds: its part of kernels and embeddings, all of the rest."""
    model, mesh = config.model, vars(config.mesh)
    stacks = [(model, True), (encoder(model), False)] if task == "translate" else [(model, False)]
    in_blocks = sum(
        block.num_layers // block.tie * kernels(block, cross) for stack, cross in stacks for block in blocks(stack)
    )
    ends = {"embed/embedding": (vocab_size, model.width), "head/kernel": (model.width, outputs)}
    if model.positions == "learned":
        ends["embed/positions"] = (config.data.seq_len, model.width)
    found = [(in_blocks, config.mesh.fsdp * config.mesh.tensor)]
    found += [(math.prod(shape), parts(ARRAYS[path], shape, mesh)) for path, shape in ends.items()]
    whole = params(model, vocab_size, outputs, config.data.seq_len, task)
    return whole - sum(size - size // count for size, count in found)


def shapes(block: Model, name: str) -> list[tuple[int, int]]:
    """(fan_in, fan_out) of the kernels of one sublayer."""
    width, inner, hidden = block.width, block.inner_width(), block.hidden_dim()
    values = block.kv_heads() * block.per_head()
    if kind(name) != "ffn":
        return [(width, inner), (width, values), (width, values), (inner, width)]
    return [(width, hidden)] * (1 + ACTIVATIONS[block.activation]) + [(hidden, width)]


def kernels(block: Model, cross: bool = False) -> int:
    """Entries of all kernels of one block."""
    return sum(i * o for name in sublayers(block, cross) for i, o in shapes(block, name))


def sublayers(block: Model, cross: bool) -> list[str]:
    """The names of a block's sublayers."""
    return [name for step in steps(block.layout, block.num_ffn, cross) for branch in step for name in branch]


def block_params(model: Model, block: Model, cross: bool) -> int:
    """Everything that one block learns."""
    inside = sum(sublayer_params(block, name) for name in sublayers(block, cross))
    return inside + step_params(model, block, cross)


def sublayer_params(block: Model, name: str) -> int:
    """Kernels with their biases and reparametrisation, and the norms and scales inside one sublayer."""
    per_kernel = [
        i * o + block.bias * o + block.input_bias + (block.reparam == "sigma") * (i + 1) for i, o in shapes(block, name)
    ]
    if kind(name) != "ffn":
        return sum(per_kernel) + attention_params(block, name)
    scales = (block.reparam == "sphere") * block.hidden_dim() * (1 + ACTIVATIONS[block.activation])
    return sum(per_kernel) + scales + block.holds("inner", "ffn") * norm_params(block, "norm", block.hidden_dim())


def attention_params(block: Model, name: str) -> int:
    """qk-norm, v-norm, inner norm, head scale and value shares of one attention."""
    row, per_head = QK_NORMS[block.qk_norm], block.per_head()
    heads = (block.num_heads, block.kv_heads()) if block.qk_norm_over == "all" else (1, 1)
    found = row.learned + (row.scale == "stored") * block.inner_width()
    found += sum(norm_params(block, row.kind, n * per_head) for n in heads) if row.kind else 0
    found += norm_params(block, block.v_norm, per_head)
    found += block.holds("inner", kind(name)) * norm_params(block, "norm", block.inner_width())
    found += block.head_scale * block.num_heads
    return found + 2 * (VALUE_RESIDUALS[block.value_residual].learned and name == "attention")


def norm_params(model: Model, kind: str, width: int) -> int:
    """What one norm learns; "norm" is the model's own kind."""
    return size(model.norm, model.norm.kind if kind == "norm" else kind, width)


def step_params(model: Model, block: Model, cross: bool) -> int:
    """Norms in slots and learned arrays of the steps of one block."""
    order, row = steps(block.layout, block.num_ffn, cross), WIRINGS[block.wiring]
    place = place_of(model, cross)
    per_step, per_block, _ = EXTRA_NORMS.get(row.stream, (0, 0, 0))
    norms = per_block + per_step * len(order)
    for step in order:
        norms += sum(block.holds(slot, kind(branch[0])) for branch in step for slot in ("pre", "branch"))
        norms += block.holds("main", kind(step[0][0]))
    branches = sum(len(step) for step in order)
    sites = {"pre_gain": branches, "branch_gain": branches}  # other arrays: one for each step
    count = {"block": lambda name: 1, "sublayer": lambda name: sites.get(name, len(order)), "close": lambda name: 0}
    arrays = sum(count[array.per](name) * math.prod(array.dims(place)) for name, array in row.trained().items())
    return norms * norm_params(block, "norm", block.width) + arrays
