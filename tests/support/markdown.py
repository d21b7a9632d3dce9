"""The fenced blocks of Markdown pages, which the tests run or apply as written."""

import re
from dataclasses import dataclass

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w./]+\.\w+)`")


@dataclass
class Block:
    """
    A fenced block.

    `section` is the title of its section, "" before the first. `file` is the name of the
    file that was mentioned last in the text above it, or None.
    """

    language: str
    text: str
    section: str
    file: str | None


def blocks(page):
    """Return the fenced blocks of a page in order."""
    found = []
    for match in BLOCK.finditer(page):
        before = BLOCK.sub("", page[: match.start()])
        section = re.findall(r"^## (.+)$", before, re.MULTILINE)
        files = FILE.findall(before.rsplit("\n#", 1)[-1])
        found.append(
            Block(
                match[1],
                match[2],
                section[-1] if section else "",
                files[-1] if files else None,
            )
        )
    return found


def apply_diff(text, diff):
    """
    Return `text` with a diff applied. Lines with @@ separate the hunks of the diff.

    The lines of each hunk must be unique in the text.
    """
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        lines = hunk.splitlines()
        old = "".join(line[1:] + "\n" for line in lines if not line.startswith("+"))
        new = "".join(line[1:] + "\n" for line in lines if not line.startswith("-"))
        assert text.count(old) == 1, f"Not found exactly once:\n{old}"
        text = text.replace(old, new)
    return text
