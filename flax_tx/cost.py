"""What a config costs, in closed form and without JAX: parameters, FLOPs of a step, bytes of training state."""

from flax_tx.config import blocks
from flax_tx.norms import learns
from flax_tx.schema import ACTIVATIONS, Config, Model
from flax_tx.wiring import GAINS, WIRINGS, Learned


def params(model: Model, vocab_size: int, outputs: int, seq_len: int) -> int:
    """How many numbers are trained. Vaswani et al. 2017: 4D² per attention, whatever the head count, when K = D/H."""
    embedding = model.width * (vocab_size + (seq_len if model.positions == "learned" else 0))
    final = norm_params(model, model.norm.kind, model.width) if model.holds("final") else 0
    return embedding + model.width * outputs + final + sum(b.num_layers * block_params(b) for b in blocks(model))


def flops_per_step(config: Config, outputs: int, task: str = "lm") -> int:
    """Floating-point operations of one training step: three times the matrix products of a forward pass.

    6 per kernel entry and token, and 12 L K per head and token for QKᵀ and its product with V.
    """
    model, length = config.model, config.data.seq_len
    tokens = config.train.batch_size * length
    predictions = config.train.batch_size if task == "classify" else tokens
    per_token = sum(b.num_layers * (6 * kernels(b) + 12 * length * b.inner_width()) for b in blocks(model))
    return tokens * per_token + 6 * predictions * model.width * outputs


def state_bytes(num_params: int, optimizer: str) -> int:
    """Bytes of parameters and moments, all float32: Adam keeps two moments, SGD one."""
    return 4 * num_params * (2 if optimizer == "sgd" else 3)


def kernels(block: Model) -> int:
    """Entries of all kernels of one block."""
    hidden = block.hidden_dim()
    per_ffn = (3 if ACTIVATIONS[block.activation] else 2) * block.width * hidden
    return 4 * block.width * block.inner_width() + block.num_ffn * per_ffn


def block_params(block: Model) -> int:
    """Kernels, biases, norms in slots, qk-norms and learned gains of one block."""
    hidden = block.hidden_dim()
    gated = ACTIVATIONS[block.activation]
    biases = 3 * block.inner_width() + block.width + block.num_ffn * (hidden * (1 + gated) + block.width)
    slots = sum(block.holds(slot) for slot in ("pre", "branch", "main")) * (1 + block.num_ffn)
    norms = slots * norm_params(block, block.norm.kind, block.width)
    if block.qk_norm != "none":
        norms += 2 * norm_params(block, block.qk_norm, block.inner_width() // block.num_heads)
    return kernels(block) + block.bias * biases + norms + gain_params(block)


def norm_params(model: Model, kind: str, width: int) -> int:
    """Scale and bias of one norm."""
    return width * sum(learns(model.norm, kind))


def gain_params(block: Model) -> int:
    """Learned gains of one block."""
    gains = [gain for gain in map(WIRINGS[block.wiring].gain, GAINS) if isinstance(gain, Learned)]
    sites = [1 if gain.per == "block" else 1 + block.num_ffn for gain in gains]
    return sum(n * (block.width if gain.shape == "channel" else 1) for gain, n in zip(gains, sites, strict=True))
