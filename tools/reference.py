# SPDX-License-Identifier: Apache-2.0
"""The reference of all commands, as the commands themselves tell it.

``python tools/reference.py``, in an environment with nova-qos and both clients, writes
``doc/source/cli/index.rst``, or the file that it is given; a test compares them.
"""

import contextlib
import io
import itertools
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import novaclient.shell
import openstackclient.shell

from nova_qos.resources import BALLOON_COMMAND, NET_PRIORITIES_COMMAND, TABLE

PAGE = Path(__file__).parents[1] / "doc/source/cli/index.rst"
_WIDTH = 92
#: Of a usage: what stands in brackets, and single words.
_PART = re.compile(r"\[.*?\]+(?=\s|$)|\S+")
_HEAD = """\
Command reference
=================

What ``openstack help`` and ``nova help`` print, but for the options of the output formats, which
are those of every ``openstack`` command. Written by ``tools/reference.py``.
"""


def page() -> str:
    """The page as it is to be."""
    parts = [_HEAD, *_section("openstack", _openstack_commands()),
             *_section("nova", _nova_commands())]
    return "\n".join(parts)


def _openstack_commands() -> list[str]:
    points = metadata.entry_points(group="openstack.compute.v2")
    return sorted(point.name.replace("_", " ") for point in points
                  if point.name.startswith("server_qos"))


def _nova_commands() -> list[str]:
    of_rows = [name for row in TABLE.values()
               for name in (row.names.get_command, row.names.set_command)]
    return sorted([*of_rows, BALLOON_COMMAND, NET_PRIORITIES_COMMAND])


def _section(program: str, commands: list[str]) -> Iterator[str]:
    yield _headed(program, "-")
    for command in commands:
        yield _headed(f"{program} {command}", "~")
        yield ".. code-block:: text\n"
        yield textwrap.indent(_help(program, command), "    ")


def _headed(title: str, line: str) -> str:
    return f"{title}\n{line * len(title)}\n"


def _help(program: str, command: str) -> str:
    # in this process, since each client needs a second to load
    words = ["help", *command.split()]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        if program == "nova":
            novaclient.shell.main(words)
        else:
            shell = openstackclient.shell.OpenStackShell()
            shell.NAME = program
            if shell.run(words):
                sys.exit(f"{program} help {command} failed")
    # the output formats are the same in every list, and cliff's own
    text = printed.getvalue().partition("\noutput formatters:\n")[0].rstrip() + "\n"
    usage, blank, rest = text.partition("\n\n")
    return _broken(usage, f"usage: {program} {command} ") + blank + rest


def _broken(usage: str, head: str) -> str:
    """A usage in lines, options before arguments; each release of Python breaks it elsewhere."""
    line = " ".join(usage.split())
    if len(line) <= _WIDTH - 2:
        return line
    # a no-break space keeps together what stands in brackets
    parts = [part.replace(" ", "\xa0") for part in _PART.findall(line.removeprefix(head))]
    options = list(itertools.takewhile(lambda part: part.startswith("["), parts))
    lines = [each for words in (options, parts[len(options):])
             for each in textwrap.wrap(" ".join(words), _WIDTH - 2 - len(head),
                                       break_long_words=False, break_on_hyphens=False)]
    return head + f"\n{' ' * len(head)}".join(lines).replace("\xa0", " ")


if __name__ == "__main__":
    # told how wide the page is and nothing of a cloud
    os.environ.clear()
    os.environ |= {"COLUMNS": str(_WIDTH), "PATH": os.defpath, "HOME": os.devnull}
    (target,) = map(Path, sys.argv[1:] or [PAGE])
    target.parent.mkdir(exist_ok=True)
    target.write_text(page())
