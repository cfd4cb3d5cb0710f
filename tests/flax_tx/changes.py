"""For every knob of the schema, a value other than its default, and the context in which the knob is alive."""

CUSTOM = {"model.wiring": "custom"}
DROPPED = {"model.dropout.branch": 0.5}
CLASSIFIER = {"data.name": "bbc_news"}

# Decide how numbers are computed or reported, not which.
SILENT = {
    "model.unroll": 4,
    "train.chunk_steps": 7,
    "train.eval_windows": 16,
    "train.diagnostics": False,
}

# name -> (value, context)
LIVE = {
    "model.wiring": ("post", {}),
    "model.norm.kind": ("rmsnorm", {}),
    "model.norm.eps": (0.5, {}),
    "model.norm.scale": (False, {}),
    "model.norm.bias": (False, {}),
    "model.slots.pre": (True, CUSTOM),
    "model.slots.branch": (True, CUSTOM),
    "model.slots.main": (True, CUSTOM),
    "model.slots.final": (False, {}),
    "model.gains.pre": (0.5, {}),
    "model.gains.branch": (0.5, {}),
    "model.gains.skip": (0.5, {}),
    "model.gains.init": (0.5, {}),
    "model.width": (32, {}),
    "model.num_layers": (3, {}),
    "model.num_heads": (4, {}),
    "model.head_dim": (4, {}),
    "model.mlp_dim": (24, {}),
    "model.num_ffn": (2, {}),
    "model.activation": ("relu", {}),
    "model.bias": (True, {}),
    "model.positions": ("rotary", {}),
    "model.causal": (True, CLASSIFIER),
    "model.qk_norm": ("rmsnorm", {}),
    "model.init": ("normal", {}),
    "model.embed_scale": (2.0, {}),
    "model.dropout.embedding": (0.5, {}),
    "model.dropout.attention": (0.5, {}),
    "model.dropout.branch": (0.5, {}),
    "model.dtype": ("bfloat16", {}),
    "model.segments": (({"num_layers": 1}, {"num_layers": 1, "num_heads": 4}), {}),
    "optim.name": ("sgd", {}),
    "optim.learning_rate": (2e-2, {}),
    "optim.warmup_steps": (3.0, {}),
    "optim.schedule": ("linear", {}),
    "optim.final_fraction": (0.5, {}),
    "optim.weight_decay": (0.5, {}),
    "optim.beta1": (0.5, {}),
    "optim.beta2": (0.5, {}),
    "optim.eps": (1e-2, {}),
    "optim.clip_norm": (1e-2, {}),
    "train.steps": (5, {}),
    "train.batch_size": (2, {}),
    "train.label_smoothing": (0.1, {}),
    "train.z_loss": (0.1, {}),
    "data.name": ("lookup", {}),
    "data.task": ("lm", CLASSIFIER),
    "data.seq_len": (6, {}),
    "data.vocab_size": (12, {}),
    "data.strength": (0.5, {}),
    "seed.init": (1, {}),
    "seed.data": (1, {}),
    "seed.dropout": (1, DROPPED),
}

ALL = LIVE | {name: (value, {}) for name, value in SILENT.items()}
