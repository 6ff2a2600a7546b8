"""Workers as jobs of Slurm, and an eval on them: `python slurm.py classic --systems playbook,lightgbm --out /shared/classic`.

It runs where `sbatch` is (a login node, or a job of its own) for as long as the eval; dask-jobqueue starts the workers, and new ones for
those that Slurm ends. Environment and folders have to be shared by all nodes: pip install 'mlteam[dask]' dask-jobqueue
"""

from __future__ import annotations

import subprocess
import sys

import dask
from dask_jobqueue import SLURMCluster

WORKERS = 8


def cluster(**more: object) -> SLURMCluster:
    """Jobs of two cores and 8 GB, each a worker that does one attempt at a time."""
    dask.config.set({"distributed.scheduler.allowed-failures": 2, "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": 2})
    return SLURMCluster(
        job_name="mlteam-worker",
        cores=1,  # threads of a worker, so attempts at a time
        job_cpu=2,
        processes=1,
        memory="8 GB",
        walltime="04:00:00",
        # Before its time is over a worker takes no further attempt, and Slurm is asked for another.
        worker_extra_args=["--lifetime", "225m", "--lifetime-stagger", "5m"],
        job_script_prologue=["export DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON__OMP_NUM_THREADS=2"],
        **more,
    )


def main() -> int:
    with cluster() as workers:
        workers.adapt(minimum=1, maximum=WORKERS)
        engine = workers.scheduler_address.replace("tcp://", "dask://")
        return subprocess.run(["mlteam", "eval", *sys.argv[1:], "--engine", engine], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
