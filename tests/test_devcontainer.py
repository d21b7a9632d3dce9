"""The development container: .devcontainer/devcontainer.json of a project."""

import json
import re

import jsonschema
import pytest
from support.template import TREE

FILE = ".devcontainer/devcontainer.json"

# The properties that the project uses, as https://containers.dev/implementors/json_schema/
# describes them: of a container that is made from an image.
COMMAND = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "additionalProperties": {"type": ["string", "array"]}},
    ]
}
PORT = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": 65535},
        {"type": "string", "pattern": r"^[a-z0-9-]+:\d{1,5}$"},
    ]
}
SCHEMA = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string"},
        "forwardPorts": {"type": "array", "items": PORT},
        "postCreateCommand": COMMAND,
        "customizations": {
            "type": "object",
            "properties": {
                "vscode": {
                    "type": "object",
                    "properties": {
                        "extensions": {
                            "type": "array",
                            "items": {"type": "string", "pattern": r"^[\w-]+\.[\w-]+$"},
                        },
                        "settings": {"type": "object"},
                    },
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def test_file_is_valid_before_it_is_rendered():
    jsonschema.validate(json.loads((TREE / FILE).read_text("utf-8")), SCHEMA)


@pytest.mark.parametrize("name", ["My Site", 'A "quoted" \\ name'])
def test_file_is_valid_with_any_name(bake, name):
    file = bake(project_name=name, project_slug="my_site") / FILE

    config = json.loads(file.read_text("utf-8"))

    jsonschema.validate(config, SCHEMA)
    assert config["name"] == name


def test_python_is_the_one_of_the_image():
    image = json.loads((TREE / FILE).read_text("utf-8"))["image"]
    dockerfile = (TREE / "Dockerfile").read_text("utf-8")

    pattern = re.compile(r"^FROM python:([\d.]+)-slim-(\w+)", re.MULTILINE)
    version, debian = pattern.search(dockerfile).groups()

    assert image.endswith(f"/python:{version}-{debian}")


def test_container_runs_bootstrap_and_forwards_the_port_of_the_dev_server(bake):
    config = json.loads((bake() / FILE).read_text("utf-8"))

    command, script = config["postCreateCommand"].split()
    assert command == "python"
    assert (bake() / script).exists()
    dev = (bake() / "scripts" / "dev.py").read_text("utf-8")
    (port,) = re.findall(r'"--port", type=int, default=(\d+)', dev)
    assert config["forwardPorts"] == [int(port)]
