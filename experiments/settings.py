"""How a launch runs its programs: nothing here decides a number."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What executors and lanes are told.

    `lanes`: worker processes; 0: one per device. `lane_memory`: bytes of memory that a lane may use; 0: any.
    `checkpoint_seconds`: between two checkpoints of a cell in training; 0: at every chunk; negative: never.
    `keep_state`: whether the last state of a cell is kept, for a longer one to start from.
    `group`: cells of a program that train together at most; 0: one on a CPU, on other devices what their memory holds.
    `device`: what a lane owns: cpu (a core), gpu, or auto: a GPU where there are any, else a core.
    `ray_address`: of the cluster whose nodes have the lanes. `task_cpus`, `task_gpus`: what one lane takes of a node;
    no `task_gpus`: one, where any node has GPUs.
    `lane_devices`: cores or GPUs that a lane owns: those of the largest cell.
    `coordinator`, `num_processes`, `process_id`: how the processes of a distributed launch meet; empty: as the cluster
    says.
    """

    lanes: int = 0
    lane_memory: int = 0
    checkpoint_seconds: float = 60.0
    keep_state: bool = False
    group: int = 0
    device: str = "auto"
    ray_address: str = ""
    task_cpus: float = 1.0
    task_gpus: float | None = None
    lane_devices: int = 1
    coordinator: str = ""
    num_processes: int = 0
    process_id: int = 0


USUAL = Settings()
