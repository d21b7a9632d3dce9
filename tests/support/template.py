"""The template's own files."""

import json
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent.parent
TREE = TEMPLATE / "{{cookiecutter.project_slug}}"
IN_PROJECT = TEMPLATE / "tests" / "in_project"  # Files that run inside a project.

CONTEXT = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
# The questions that Cookiecutter asks, with their defaults, which may be Jinja.
QUESTIONS = {
    name: default for name, default in CONTEXT.items() if not name.startswith("_")
}
