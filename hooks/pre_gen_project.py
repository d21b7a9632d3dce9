"""Reject an answer that cannot work, in one sentence, before a file is written."""

import json
import keyword
import re
import sys
import unicodedata
from email.errors import MessageError
from email.headerregistry import Address

ANSWERS = json.loads(r"""{
    "project_name": {{ cookiecutter.project_name|tojson }},
    "project_slug": {{ cookiecutter.project_slug|tojson }},
    "description": {{ cookiecutter.description|tojson }},
    "author_name": {{ cookiecutter.author_name|tojson }},
    "author_email": {{ cookiecutter.author_email|tojson }}
}""")

EXAMPLES = {
    "project_name": "My Site",
    "description": "A website about gardens.",
    "author_name": "Ada Lovelace",
    "author_email": "ada@example.com",
}

# A Python name without an underscore at either end, which pyproject.toml does not allow,
# and without three in a row, which names of container images do not allow.
SLUG = re.compile("[a-z][a-z0-9]*(__?[a-z0-9]+)*")

# The deployment guide makes a Linux user with this name, and useradd allows 32.
LONGEST_SLUG = 32

# The distributions that the project installs and their modules, with a few that are
# often added later.
PACKAGES = """
allauth annotated_types anyio argon2 argon2_cffi argon2_cffi_bindings asgiref
ast_serialize attr attrs boto3 botocore brotli celery certifi cffi cfgv channels click
colorama coverage cryptography dateutil distlib djade django django_allauth
django_browser_reload django_environ django_htmx django_ninja django_ox django_redis
django_storages django_stubs django_stubs_ext django_vite djangorestframework
djangorestframework_stubs dotenv drf_spectacular drf_spectacular_sidecar environ fido2
filelock gunicorn h11 httptools identify idna inflection iniconfig jinja2 jmespath
jsonschema jsonschema_specifications jwt librt mypy mypy_django_plugin mypy_drf_plugin
mypy_extensions mypyc ninja nodeenv oxpull packaging pathspec pip platformdirs pluggy
pre_commit psycopg psycopg_binary psycopg_pool pycparser pydantic pydantic_core pygments
pyjwt pytest pytest_django python_dateutil python_discovery python_dotenv
python_json_logger pythonjsonlogger pyyaml qrcode redis referencing requests
rest_framework rpds rpds_py ruff s3transfer sentry_sdk setuptools six sqlparse storages
types_pyyaml typing_extensions typing_inspection tzdata uritemplate urllib3 uv uvicorn
uvloop virtualenv watchfiles websockets whitenoise yaml
"""

# At the root of the project, in lower case and without their endings.
FOLDERS_AND_FILES = """
accounts agents api compose conftest counter deploy dockerfile frontend htmlcov license
locale manage media node_modules ops package pages scripts server static staticfiles
templates tests vite
"""

# Of Debian and of the programs that a server has: https://wiki.debian.org/SystemGroups
SYSTEM_ACCOUNTS = """
adm audio avahi backup bin caddy cdrom crontab daemon dialout dip disk fax floppy games
gnats input irc kmem kvm list lp lpadmin mail man messagebus mysql netdev news nginx
nobody nogroup operator plugdev polkitd postgres proxy render root rtkit sasl shadow src
sshd staff sudo sync sys tape tcpdump tss tty users utmp uucp uuidd video voice
"""

# Names that an import, an installation or a file system would confuse with the slug.
TAKEN = {
    "a Python keyword": keyword.kwlist,
    "a module of Python's standard library": [
        *sys.stdlib_module_names,
        # New in Python 3.11 to 3.15, which the project may run on.
        *("annotationlib", "compression", "profiling", "tomllib"),
    ],
    "a package that the project uses": PACKAGES.split(),
    "a folder or file of the project": FOLDERS_AND_FILES.split(),
    # The deployment guide makes a Linux user and group with this name.
    "a user or group of Linux": SYSTEM_ACCOUNTS.split(),
    "a device on Windows": [
        *("aux", "con", "nul", "prn"),
        *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
    ],
}

# Control characters and line separators could end a line of code that contains the
# answer, and bidirectional overrides could disguise it. Characters that join emoji or
# direct right-to-left text are allowed.
INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}
BIDI_OVERRIDES = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Cookiecutter and cruft render recorded answers again when a project is updated.
TEMPLATE_CODE = re.compile(r"[{][#%{]|^\s*#:")

# Text as e-mail headers encode it: https://www.rfc-editor.org/rfc/rfc2047
ENCODED_WORD = re.compile(r"=[?]\S+[?]=")


def slug_error(slug):
    """Return why a slug cannot be used, or None."""
    if not SLUG.fullmatch(slug):
        return (
            "which is not lower-case letters and digits, a letter first, "
            "joined by one or two _"
        )
    if len(slug) > LONGEST_SLUG:
        return f"which is longer than {LONGEST_SLUG} characters"
    # Package indexes take repeated separators for one.
    name = slug.replace("__", "_")
    for owner, names in TAKEN.items():
        if name in names:
            return f"the name of {owner}"
    return None


def better_slug():
    """Return a slug that can be used and is close to the answer."""
    slug = "{{ cookiecutter.project_slug|slugify(separator='_', max_length=27) }}"
    candidates = (slug, f"{slug}_site", f"site_{slug}", "my_site")
    return next(slug for slug in candidates if not slug_error(slug))


def is_email_address(text):
    """Tell whether settings.py can use the text as the sender of the site's e-mails."""
    try:
        address = Address(addr_spec=text)
    except (IndexError, ValueError, MessageError):
        return False
    return address.addr_spec == text and "." in address.domain


def is_invisible(character):
    return unicodedata.category(character) in INVISIBLE or character in BIDI_OVERRIDES


def without_invisible(text):
    return " ".join("".join(" " if is_invisible(c) else c for c in text).split())


def errors():
    """Yield each question whose answer cannot work, why, and a better answer."""
    if why := slug_error(ANSWERS["project_slug"]):
        yield "project_slug", why, better_slug()

    email = ANSWERS["author_email"]
    if not is_email_address(email) or any(map(is_invisible, email)):
        why = "which is not an address that e-mails can be sent from"
        yield "author_email", why, EXAMPLES["author_email"]

    for question, example in EXAMPLES.items():
        if TEMPLATE_CODE.search(ANSWERS[question]):
            yield question, "which an update would run as a template", example

    if ENCODED_WORD.search(ANSWERS["project_name"]):
        why = "which e-mail programs would decode"
        yield "project_name", why, EXAMPLES["project_name"]

    for question in ("project_name", "description", "author_name"):
        answer, example = ANSWERS[question], EXAMPLES[question]
        if not answer.strip() and question != "description":
            yield question, "which is empty", example
        invisible = next(filter(is_invisible, answer), None)
        if invisible:
            why = f"which contains the invisible character U+{ord(invisible):04X}"
            yield question, why, without_invisible(answer) or example
        elif answer != answer.strip() or "  " in answer:
            # E-mail headers and HTML do not keep them.
            why = "which has spaces at an end, or two in a row"
            yield question, why, without_invisible(answer) or example


for question, why, better in errors():
    sys.exit(
        f"{question} cannot be {ANSWERS[question]!r}, {why}; try {better!r}.\n"
        "(No file was written. The lines below come from Cookiecutter.)"
    )
