"""The templates of all apps compile, and the static files that they name exist."""

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template import Context
from django.template.loader import get_template
from django.templatetags.static import StaticNode

FOLDERS = [
    settings.BASE_DIR / "templates",
    *settings.BASE_DIR.glob("*/templates"),
]
NAMES = [
    path.relative_to(folder).as_posix()
    for folder in FOLDERS
    for path in sorted(Path(folder).rglob("*.*"))
]


@pytest.mark.parametrize("name", NAMES)
def test_template_is_valid(name):
    nodes = get_template(name).template.nodelist.get_nodes_by_type(StaticNode)

    for path in [node.path for node in nodes if not node.path.is_var]:
        assert finders.find(path.resolve(Context())), f"{path} is not a static file"
