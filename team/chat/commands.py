"""What begins with a slash: all commands, with help and how a line finds its own."""

from __future__ import annotations

import difflib

from rich.table import Table
from rich.text import Text

import team.chat.showing
import team.chat.steering  # noqa: F401  # both register their commands
from team.chat.command import COMMANDS, Command, Talk, command
from team.errors import UsageError


async def obey(talk: Talk, line: str) -> None:
    """Do what a line that begins with a slash asks for.

    Raises:
        UsageError: there is no such command, or it cannot be done now, saying why.
    """
    name, _, rest = line.strip().partition(" ")
    done = _found(name.lower()).do(talk, rest.strip())
    if done is not None:
        await done


def _found(name: str) -> Command:
    """The command of a name, or of a beginning that no other has."""
    if name in COMMANDS:
        return COMMANDS[name]
    begun = [key for key in COMMANDS if key.startswith(name)] if len(name) > 1 else []
    if len(begun) == 1:
        return COMMANDS[begun[0]]
    if begun:
        raise UsageError(f"{name} may be {' or '.join(begun)}: say which.")
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    raise UsageError(f"there is no command {name}; {f'is {near[0]} meant? ' if near else ''}/help lists them.")


@command("/help")
def help_(talk: Talk, _: str) -> None:
    """This list."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in COMMANDS.values():
        table.add_row(Text(one.usage), Text(one.help))
    talk.tell(table)


@command("/quit")
async def quit_(talk: Talk, _: str) -> None:
    """Leave; a run that is going on is stopped, with everything saved."""
    await talk.quit()


__all__ = ["COMMANDS", "Command", "Talk", "obey"]
