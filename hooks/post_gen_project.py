"""Make the new project runnable, put it under git, and say what to type next.

Whatever fails is said and not fatal: on any other exit status than 0, Cookiecutter
deletes the project.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path.cwd()

# cruft sets it, Cookiecutter does not.
CRUFT = "{{ cookiecutter._commit|default('') }}"

# What tools leave when they are run on the template's tree by hand.
CACHES = (".pytest_cache", ".ruff_cache", "__pycache__")

GIT_COMMANDS = (
    ("init", "--quiet"),
    ("add", "--all"),
    ("commit", "--quiet", "--no-verify", "--message=First commit"),
)
# Hooks and signing are for the user's own commits: they may refuse this one, or ask
# for a passphrase. An identity that git would have to guess is none.
GIT_SETTINGS = (
    "init.defaultBranch=main",
    "commit.gpgSign=false",
    f"core.hooksPath={os.devnull}",
    "user.useConfigOnly=true",
)
GIT_LEAKS = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE")


def main():
    for cache in [path for name in CACHES for path in PROJECT.rglob(name)]:
        shutil.rmtree(cache)
    if os.environ.get("DJANGO_STARTER_SKIP_BOOTSTRAP") or is_scratch():
        return
    # Names may have letters that a Windows console does not know.
    sys.stdout.reconfigure(errors="replace")
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(PROJECT / "scripts"))
    import bootstrap

    outcome = bootstrap.main()
    if outcome != bootstrap.INTERRUPTED:
        print(first_commit(), flush=True)
    python = bootstrap.python_command()
    if outcome:
        print("\nThe project is complete but for that. This command finishes it:\n")
        print(f"  {python} {bootstrap.quoted(bootstrap.__file__)}")
    else:
        print(f"\n{PROJECT.name} is ready. Type next:\n")
        print(f"  cd {bootstrap.quoted(from_where_the_user_is(PROJECT))}")
        print(f"  {python} {Path('scripts', 'dev.py')}")


def is_scratch():
    """Tell whether cruft only wants the files, to compare them with a project's."""
    parent = PROJECT.parent
    return bool(
        CRUFT
        and re.fullmatch(r"tmp\w{8}", parent.name)
        and parent.parent == Path(tempfile.gettempdir()).resolve()
    )


def first_commit():
    """Make the project a git repository; return a line that says what was done."""
    if CRUFT:
        return "Commit the project when cruft has written its .cruft.json."
    if Path(".git").exists():
        return "The git repository is left as it was."
    if not shutil.which("git"):
        return "No git repository is made, for there is no git here."
    for command in GIT_COMMANDS:
        output = git(*command)
        if "Please tell me who you are" in output:
            return (
                "No first commit is made, for git does not know who you are: set "
                "user.name and user.email with `git config --global`, then `git commit`."
            )
        if output:
            return f"No first commit is made, for git says: {output.splitlines()[-1]}"
    return "A git repository is made, with a first commit."


def git(*command):
    """Run git on the project; return what it says if it fails, else nothing."""
    done = subprocess.run(
        ["git", *(part for line in GIT_SETTINGS for part in ("-c", line)), *command],
        # Cookiecutter may have been started by the git of another repository.
        env={
            **{k: v for k, v in os.environ.items() if k not in GIT_LEAKS},
            "LC_ALL": "C",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    return (done.stdout.strip() or "it failed") if done.returncode else ""


def from_where_the_user_is(path):
    """Return the path as it is typed in the shell that started Cookiecutter."""
    here = Path(os.environ.get("PWD", path.parent)).resolve()
    return path.relative_to(here) if here in path.parents else path


try:
    main()
except KeyboardInterrupt:
    print("Interrupted. What is done is kept.")
except Exception as error:
    print(
        f"The project is made, but not set up ({error!r}): run its scripts/bootstrap.py."
    )
