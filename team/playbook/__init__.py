"""The playbook: an expert policy behind the same interface as a language model.

It answers from the messages alone, sees what a model in its place would see, and so drives exactly the code path that a
language model drives. One module a role; each is a pure function of the transcript.
"""

from team.playbook.client import PlaybookClient
from team.playbook.writer import sections

__all__ = ["PlaybookClient", "sections"]
