"""How a cell ended: the summary of its numbers, and whether it is done, stuck or diverged."""

import datetime

import jax
import numpy as np

from experiments.compiled import Compiled
from flax_tx import cost
from flax_tx.data import Description

STUCK = 0.03  # a cell that made less of the progress from H1 to the reference than this never left the unigrams


def status(name: str, seconds: float, step: int | None = None, reason: str | None = None) -> dict:
    """The content of status.json."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"status": name, "step": step, "reason": reason, "finished": now, "seconds": round(seconds, 3)}


def layer_columns(layers: list[tuple[int, dict]]) -> dict[str, np.ndarray] | None:
    """The diagnostics of all chunks as columns: step, layer from 1, and one per statistic."""
    if not layers:
        return None
    tables = [{name: np.asarray(column) for name, column in found.items()} for _, found in layers]
    depth = len(tables[0]["grad_rms"])
    index = {
        "step": np.repeat(np.asarray([step for step, _ in layers], np.int32), depth),
        "layer": np.tile(np.arange(1, depth + 1, dtype=np.int32), len(layers)),
    }
    return index | {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def summarise(config, compiled: Compiled, measured: dict) -> dict:
    """The content of summary.json: what was measured, and what is known of the cell without training it."""
    about = compiled.about
    gap = None if about.floor_loss is None else about.unigram_loss - about.floor_loss
    loss = measured.get("val_loss")
    return measured | {
        "params": compiled.params,
        "flops_per_step": cost.flops_per_step(config, compiled.program.outputs, about.task),
        "compile_seconds": compiled.seconds,
        "unigram_loss": about.unigram_loss,
        "floor_loss": about.floor_loss,
        "progress": (about.unigram_loss - loss) / gap if gap and loss is not None else None,
        "device": jax.devices()[0].device_kind,
        "precision": compiled.origin["precision"],
        "group": compiled.training.size if compiled.training else None,
        "commit": compiled.commit,
        "jax": jax.__version__,
    }


def held_out_scores(compiled: Compiled, evaluated: dict) -> dict:
    """Mean loss with its standard error, and accuracy of a classifier, on the validation and test sequences.

    evaluated: split -> what flax_tx.train.evaluate gives.
    """
    found = {}
    for name, prefix in (("validation", "val"), ("test", "test")):
        _, count = compiled.training.held_out[name]
        scores = {score: np.asarray(array, np.float64).reshape(-1)[:count] for score, array in evaluated[name].items()}
        found[f"{prefix}_loss"] = scores["loss"].mean()
        found[f"{prefix}_loss_se"] = scores["loss"].std(ddof=1) / count**0.5
        found[f"{prefix}_accuracy"] = scores["accuracy"].mean() if compiled.about.task == "classify" else None
    return found


def judge_start(quantities: dict, seconds: float) -> dict:
    """done, or diverged where the loss before the first step is not finite; gradients may be beyond float32."""
    if not np.isfinite(quantities.get("loss", 0.0)):
        return status("diverged", seconds, 0, "loss not finite before the first step")
    return status("done", seconds)


def judge(summary: dict, bad_step: int, about: Description, seconds: float) -> dict:
    """done, diverged (with its first bad step), or stuck: less than STUCK of the way from H1 to the reference loss.

    The reference is the entropy rate where it is known, else the bigram loss of the text, else 0. A language model is
    judged by its validation loss, a classifier by its final training loss: what it memorised is not what got stuck.
    """
    if bad_step >= 0:
        return status("diverged", seconds, bad_step + 1, f"loss or gradient not finite at step {bad_step + 1}")
    if not np.isfinite(summary["val_loss"]):
        return status("diverged", seconds, None, "validation loss not finite after the last step")
    reference = next((loss for loss in (about.floor_loss, about.bigram_loss) if loss is not None), 0.0)
    bar = about.unigram_loss - STUCK * (about.unigram_loss - reference)
    name, loss = ("final training", "final_train_loss") if about.task == "classify" else ("validation", "val_loss")
    if summary[loss] >= bar:
        return status("stuck", seconds, None, f"{name} loss {summary[loss]:.4f} is not below {bar:.4f}")
    return status("done", seconds)
