"""How a launch runs its programs: nothing here decides a number."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What executors and lanes are told.

    `lanes`: worker processes; 0: one per core. `lane_memory`: bytes of memory that a lane may use; 0: any.
    `checkpoint_seconds`: between two checkpoints of a cell in training; 0: at every chunk; negative: never.
    `keep_state`: whether the last state of a cell is kept, for a longer one to start from.
    `devices`: of the largest cell, which every lane must have.
    `coordinator`, `num_processes`, `process_id`: how the processes of a distributed launch meet; empty: as the cluster
    says.
    """

    lanes: int = 0
    lane_memory: int = 0
    checkpoint_seconds: float = 60.0
    keep_state: bool = False
    devices: int = 1
    coordinator: str = ""
    num_processes: int = 0
    process_id: int = 0


USUAL = Settings()
