"""The variables that the project reads, and the file that explains them."""

import re

import pytest

# By which bootstrap.py finds Python and uv: theirs, and explained there.
OF_TOOLS = {"PATH", "PYENV_ROOT", "UV"}


@pytest.fixture(scope="module")
def explained(bake):
    """Return the names in .env.example, those that are commented out as well."""
    text = (bake() / ".env.example").read_text("utf-8")
    return set(re.findall(r"^(?:# )?([A-Z_]+)=", text, re.MULTILINE))


@pytest.fixture(scope="module")
def read(bake):
    """Return the names that settings.py and the scripts look up."""
    settings = bake() / bake().name / "settings.py"
    look_up = re.compile(
        r'\b(?:env\.\w+\(|environ(?:ment)?(?:\.\w+\(|\[|,))\s*"([A-Z_]+)"'
    )
    files = (settings, *(bake() / "scripts").glob("*.py"))
    return {name for f in files for name in look_up.findall(f.read_text("utf-8"))}


def test_every_variable_that_is_explained_is_read(explained, read):
    assert len(explained) > 10
    assert explained - read == set()


def test_every_variable_that_is_read_is_explained(explained, read):
    assert read - explained == OF_TOOLS
