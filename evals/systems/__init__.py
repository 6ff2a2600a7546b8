"""Systems that an eval tries: this team, its rivals, simple models, cheats that the grader must catch, and what users bring."""

from evals.systems.contract import System, Usage
from evals.systems.finding import PROBES, find_systems

__all__ = ["PROBES", "System", "Usage", "find_systems"]
