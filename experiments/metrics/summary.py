"""The numbers of summary.json."""

from experiments.metrics.metric import Metric

LOSS, ACCURACY = "nats per {item}", "share correct"  # item: token or document, as the task has it
SUMMARY = {
    "val_loss": Metric("validation loss", LOSS, True),
    "test_loss": Metric("test loss", LOSS, True),
    "final_train_loss": Metric("final training loss", LOSS, True),
    "val_accuracy": Metric("validation accuracy", ACCURACY, False),
    "test_accuracy": Metric("test accuracy", ACCURACY, False),
    "progress": Metric(
        "progress (H1 - loss)/(H1 - H*)", "0 at the unigram entropy H1, 1 at the entropy rate H*", False
    ),
    "params": Metric("parameters", "numbers", None, ",.0f"),
    "flops_per_step": Metric("work", "FLOPs per step", None, ".3e"),
    "tokens_per_second": Metric("speed", "tokens/s", False, ",.0f"),
    "compile_seconds": Metric("compilation", "s", None, ".1f"),
    "train_seconds": Metric("training time", "s", None, ".1f"),
}
