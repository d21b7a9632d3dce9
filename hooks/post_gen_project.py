"""Delete what was not chosen, make the project runnable, and commit it to git.

Errors are printed and never fatal: on any other exit status than 0, Cookiecutter
deletes the project.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Windows may return a short name, such as MYSITE~1.
PROJECT = Path.cwd().resolve()
ANSWERS = json.loads(r"""{{ cookiecutter|tojson }}""")

# {question: {answer: (paths, ...)}}: the files and folders that a project has only
# with this answer. A path may belong to several answers.
PATHS = {
    "api": {
        "django-ninja": (
            "api/__init__.py",
            "api/endpoints.py",
            "api/problems.py",
            "api/schemas.py",
            "api/v1.py",
            "tests/api/__init__.py",
            "tests/api/test_api.py",
        ),
        "drf": (
            "api/__init__.py",
            "api/authentication.py",
            "api/exceptions.py",
            "api/pagination.py",
            "api/problems.py",
            "api/serializers.py",
            "api/urls.py",
            "api/views.py",
            "templates/drf_spectacular",
            "tests/api/__init__.py",
            "tests/api/test_api.py",
            "tests/api/test_exceptions.py",
        ),
    },
    "frontend": {
        "htmx": ("counter", "templates/counter", "tests/counter"),
        "vite": ("frontend", "package.json", "scripts/vite.py", "vite.config.js"),
    },
    "deploy": {
        "containers": (
            ".dockerignore",
            "Dockerfile",
            "compose.yaml",
            "deploy/Caddyfile",
            "deploy/README.md",
            "deploy/celery.md",
        ),
        "server": (
            "deploy/Caddyfile",
            "deploy/README.md",
            "deploy/celery.md",
            "deploy/systemd",
        ),
        "kubernetes": (
            ".dockerignore",
            "Dockerfile",
            "deploy/README.md",
            "deploy/celery.md",
            "deploy/kubernetes",
        ),
    },
    "ci": {
        "github": (".github",),
        "gitlab": (".gitlab-ci.yml",),
    },
    "server": {
        "fast": ("server", "tests/server"),
    },
}

# In HTML, which is not rendered, a condition is in comments of Django, on lines of their
# own. The brackets keep Jinja from reading a comment here.
HTML_CONDITION = re.compile(
    r' *[{]# if cookiecutter\.(\w+) == "(.+?)" #}\n(.*?) *[{]# endif #}\n', re.DOTALL
)

# Files that tools write when somebody runs them in the template's tree.
CACHES = (".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__")

GIT_COMMANDS = (
    ("init", "--quiet"),
    ("add", "--all"),
    ("commit", "--quiet", "--no-verify", "--message=First commit"),
)
# The user's hooks and signing could reject this commit or ask for a passphrase.
# Without an identity, git fails instead of guessing one.
GIT_SETTINGS = (
    "init.defaultBranch=main",
    "commit.gpgSign=false",
    f"core.hooksPath={os.devnull}",
    "user.useConfigOnly=true",
)


def main():
    if is_scratch():
        return
    # A Windows console may not support every character of a name.
    sys.stdout.reconfigure(errors="replace")
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(PROJECT / "scripts"))
    import bootstrap

    if not is_cruft():
        record_origin(bootstrap.output_of)
    if os.environ.get("DJANGO_STARTER_SKIP_BOOTSTRAP"):
        return
    status = bootstrap.main()
    if status != bootstrap.INTERRUPTED:
        print(first_commit(bootstrap.ENVIRONMENT), flush=True)
        bootstrap.install_git_hooks()
    python = bootstrap.python_command()
    if status:
        print("\nThe project is complete but for that. This command finishes it:\n")
        print(f"  {python} {bootstrap.quoted(bootstrap.__file__)}")
    else:
        # Windows sets no PWD; the whole path is right from every folder.
        here = Path(os.environ.get("PWD", PROJECT)).resolve()
        print(f"\n{PROJECT.name} is ready. Type next:\n")
        print(f"  cd {bootstrap.quoted(bootstrap.path_from(here, PROJECT))}")
        print(f"  {python} {Path('scripts', 'dev.py')}")


def delete_what_was_not_chosen():
    for question, answers in PATHS.items():
        chosen = answers.get(ANSWERS[question], ())
        for path in {path for paths in answers.values() for path in paths} - {*chosen}:
            delete(PROJECT / path)
    for page in PROJECT.glob("templates/**/*.html"):
        text = page.read_text("utf-8")
        chosen = HTML_CONDITION.sub(
            lambda match: match[3] if ANSWERS[match[1]] == match[2] else "", text
        )
        page.write_text(chosen, "utf-8", newline="\n")
    for cache in [path for name in CACHES for path in PROJECT.rglob(name)]:
        delete(cache)


def delete(path):
    """Delete a file or a folder, and the folder that it was in if it is empty then."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()


def is_scratch():
    """Tell whether cruft only wants the files, to compare them with a project's."""
    parent = PROJECT.parent
    return bool(
        is_cruft()
        and re.fullmatch(r"tmp\w{8}", parent.name)
        and parent.parent == Path(tempfile.gettempdir()).resolve()
    )


def is_cruft():
    return bool(ANSWERS.get("_commit"))  # Cookiecutter does not set it.


def record_origin(output_of):
    """Write .cruft.json as cruft does, if the template is in a git repository.

    `output_of` returns what a command prints, or "" if it fails.
    """
    template = template_folder()

    def git(*command):
        return output_of("git", "-C", template, *command)

    # A copy of the template may be in a repository that does not contain it.
    if not template or not git("ls-tree", "HEAD", "cookiecutter.json"):
        return
    commit = git("rev-parse", "HEAD")
    address = git("rev-parse", "--show-toplevel")
    # Other people can use the address of the clone's origin, if it has the commit.
    origin = git("config", "remote.origin.url")
    clone_has = ("for-each-ref", "--count=1", f"--contains={commit}")
    if origin and git(*clone_has, "refs/remotes/origin", "refs/tags"):
        address = without_credentials(origin)
    questions = json.loads((template / "cookiecutter.json").read_text("utf-8"))
    context = {
        # Jinja has sorted the keys of ANSWERS. Names with one _ are not rendered.
        name: raw if re.match("_[^_]", name) else ANSWERS[name]
        for name, raw in questions.items()
        if name in ANSWERS
    }
    state = {
        "template": address,
        "commit": commit,
        "checkout": ANSWERS.get("_checkout"),
        "context": {
            "cookiecutter": {**context, "_template": address, "_commit": commit}
        },
        "directory": git("rev-parse", "--show-prefix").rstrip("/") or None,
    }
    # In ASCII, because cruft reads the file in the encoding of the system.
    Path(".cruft.json").write_text(json.dumps(state, indent=2) + "\n", "utf-8")


def template_folder():
    """Return the folder of the template, or None if it cannot be found.

    Cookiecutter names it relative to its own working directory, which it does not name.
    Without --output-dir, it is the output directory; Windows sets no PWD.
    """
    for start in (ANSWERS["_output_dir"], os.environ.get("PWD", PROJECT)):
        folder = Path(start, ANSWERS["_repo_dir"])
        if (folder / "cookiecutter.json").exists():
            return folder
    return None


def without_credentials(url):
    """Return the URL of a repository without a password or a token."""
    url = re.sub(r"(?i)^(https?://)(?:[^/]*@)?([^?]*).*", r"\1\2", url)
    return re.sub(r"(?i)^(ssh://[^/:@]*):[^/]*@", r"\1@", url)


def first_commit(environment):
    """Make the project a git repository; return a sentence that says what was done."""
    if is_cruft():
        return "Commit the project when cruft has written its .cruft.json."
    if Path(".git").exists():
        return "The git repository is left as it was."
    if not shutil.which("git"):
        return "No git repository is made because git is not installed."
    if not git(environment, "rev-parse", "--is-inside-work-tree"):
        return (
            "No git repository is made because the folder is already in one. "
            "`git init` in the project makes its own."
        )
    for command in GIT_COMMANDS:
        error = git(environment, *command)
        if "Please tell me who you are" in error:
            return (
                "No first commit is made because git does not know who you are: set "
                "user.name and user.email with `git config --global`, then `git commit`."
            )
        if error:
            return f"No first commit is made because git says: {error.splitlines()[-1]}"
    return "A git repository is made, with a first commit."


def git(environment, *command):
    """Run git on the project; return what it prints if it fails, else nothing."""
    done = subprocess.run(
        ["git", *(part for line in GIT_SETTINGS for part in ("-c", line)), *command],
        env={**environment, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    return (done.stdout.strip() or "it failed") if done.returncode else ""


try:
    delete_what_was_not_chosen()
except (KeyError, OSError) as error:
    sys.exit(
        f"No project is made, because files of other answers cannot be deleted ({error!r})."
    )
try:
    main()
except KeyboardInterrupt:
    print("Interrupted. What is done is kept.")
except BrokenPipeError:
    # Nobody reads the output. Python would fail again when it flushes it at exit.
    os._exit(0)
except Exception as error:
    print(
        f"The project is made, but not set up ({error!r}): run its scripts/bootstrap.py."
    )
