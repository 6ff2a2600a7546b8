"""A module in a fence, read as the call that hands it in. Pure.

A small model that is asked for code answers with code: in a fence, with words around it, and rarely as a string of JSON with every
quote and line break escaped. Where it was offered `submit_candidate` and the fence defines what that tool asks for, this is the call.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from team.models.offers import Offer
from team.models.textcalls import TextCall
from tools.modelcode import ENTRY

_FENCE = re.compile(r"```[ \t]*(?:python|py|python3)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_DEFINES = re.compile(rf"^(?:def\s+{ENTRY}\s*\(|{ENTRY}\s*=)", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?])\s|\n")
TOOL = "submit_candidate"
IDEA_CHARS = 200
DIGITS = 6


def handed_in(text: str, offers: Sequence[Offer]) -> TextCall | None:
    """The call that a reply's module stands for, or None where there is none, or several that differ.

    Its name follows from the code, so that the same module has the same name again; its idea is the first sentence around it.
    """
    if not any(offer.name == TOOL and {"name", "code"} <= set(offer.parameters) for offer in offers):
        return None
    modules = list(dict.fromkeys(found.strip() + "\n" for found in _FENCE.findall(text) if _DEFINES.search(found)))
    if len(modules) != 1:
        return None
    code = modules[0]
    arguments = {"name": f"own-{hashlib.sha256(code.encode('utf-8', 'replace')).hexdigest()[:DIGITS]}", "code": code}
    words = [part.strip() for part in _SENTENCE.split(_FENCE.sub(" ", text)) if any(map(str.isalpha, part))]
    if words:
        arguments["idea"] = words[0][:IDEA_CHARS]
    return TextCall(TOOL, arguments, "fenced module")
