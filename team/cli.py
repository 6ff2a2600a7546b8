"""The command line: parse, call, print. Progress goes to stderr, results to stdout."""

from __future__ import annotations

import errno
import logging
import sys
from typing import NoReturn

import typer

from team import chat_cli, release_cli, runs_cli, start_cli, tune_cli, ui_cli
from team.eval_cli import app as eval_app
from team.options import Json
from team.sandbox_cli import app as sandbox_app
from team.terminal import print_json

app = typer.Typer(
    name="mlteam",
    help="A team of language-model roles that does a whole machine-learning experiment, honestly.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def doctor(as_json: Json = False) -> None:
    """Check what works on this machine and say how to get what does not."""
    from team.doctor import check, describe

    checks = check()
    if as_json:
        print_json([c.__dict__ for c in checks])
    else:
        print(describe(checks))
    if not all(c.works for c in checks if c.needed):
        raise typer.Exit(4)


def tools(as_json: Json = False) -> None:
    """List the tools of the team."""
    from team.overview import tool_listing, tool_schemas

    if as_json:
        print_json(tool_schemas())
    else:
        print(tool_listing())


# In the order of `mlteam --help`.
for command in (
    start_cli.run,
    chat_cli.chat,
    start_cli.resume,
    start_cli.fork,
    runs_cli.predict,
    release_cli.serve,
    release_cli.deploy,
    release_cli.export,
    runs_cli.show,
    runs_cli.runs,
    ui_cli.ui,
    runs_cli.clean,
    runs_cli.cost,
    runs_cli.compare,
    runs_cli.report,
    runs_cli.replay,
    runs_cli.track,
    runs_cli.metrics,
    release_cli.publish,
    release_cli.register,
    doctor,
    tools,
):
    app.command()(command)
eval_app.command()(tune_cli.tune)
app.add_typer(eval_app, name="eval")
app.add_typer(sandbox_app, name="sandbox")


def _complain(message: str, exit_code: int) -> NoReturn:
    """Say once what went wrong, as the log format has it, and end."""
    from team.json_log import say

    if not say(message, logging.ERROR, exit_code=exit_code):
        print(f"mlteam: {message}", file=sys.stderr)
    sys.exit(exit_code)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: every expected failure is one message and its exit code, never a traceback.

    Args:
        arguments: what follows `mlteam`; None takes the process's own.
    """
    from team.errors import MlteamError
    from team.json_log import uninstall
    from team.terminal import clean

    try:
        code = app(arguments, prog_name="mlteam", standalone_mode=False)
    except MlteamError as error:
        _complain(clean(str(error)), error.exit_code)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        _complain("stopped.", 130)
    except BrokenPipeError:
        # The reader went away, as `mlteam runs | head` does; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        what = clean(repr(error.filename)) if error.filename else "what this command writes"
        _complain(f"cannot use {what}: {error.strerror}. Make room or make it writable, then type the command again.", 2)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer brings its own copy of click, so there is no class to name
            raise
        asked = " ".join(getattr(getattr(error, "ctx", None), "command_path", "mlteam").split())
        lists = "the commands" if asked == "mlteam" else "what it takes"
        _complain(f"{clean(error.format_message())} `{asked} --help` lists {lists}.", 2)
    finally:
        uninstall()
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
