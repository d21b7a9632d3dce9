"""The units of systemd."""

import pytest
from support.template import sources
from support.tools import check, find_program


@pytest.mark.parametrize("path", sources(".service", ".timer"))
def test_systemd_units_are_valid(path, project, tmp_path):
    analyze = find_program("systemd-analyze")
    for unit in path.parent.glob("*@.*"):
        # systemd-analyze checks that the programs exist.
        text = unit.read_text("utf-8").replace("/srv/%i", str(project))
        (tmp_path / unit.name.replace("@", "@site")).write_text(text, "utf-8")

    # Unknown keys are only warnings, with exit status 0.
    assert not check(analyze, "verify", tmp_path / path.name.replace("@", "@site"))
