"""
Print the section of CHANGELOG.md about a version: release_notes.py v1.0

The version of the template is the newest one of CHANGELOG.md. The exit status is 1 if the
tag is another version, or if its section is empty.
"""

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
SECTION = re.compile(r"^## (\d+(?:\.\d+)+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def main(tag, changelog=CHANGELOG):
    section = SECTION.search(changelog.read_text("utf-8"))
    if not section:
        sys.exit(f"{changelog.name} has no section of a version.")
    version, notes = section[1], section[2].strip()
    if tag != f"v{version}":
        sys.exit(f"The tag is {tag}, but the newest version is {version}.")
    if not notes:
        sys.exit(f"The section {version} of {changelog.name} is empty.")
    print(notes)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main(*sys.argv[1:])
