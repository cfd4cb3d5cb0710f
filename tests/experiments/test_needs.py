"""What a lane is said to need."""

from experiments import records
from experiments.executors import needs
from flax_tx import memory
from flax_tx.config import resolve, to_dict


def test_a_lane_needs_its_process_and_its_model(tmp_path):
    config, _ = resolve({"data.name": "markov1", "data.vocab_size": 64})
    records.write_cell_config(tmp_path, "a", records.plain(to_dict(config)))
    assert needs.memory(tmp_path, "a") == needs.PROCESS + memory.training_bytes(config, 64, 64)
