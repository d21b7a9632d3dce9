"""Refuse an answer that cannot work, in one sentence, before a file is written."""

import json
import re
import sys
import unicodedata

ANSWERS = json.loads(r"""{
    "project_name": {{ cookiecutter.project_name|tojson }},
    "project_slug": {{ cookiecutter.project_slug|tojson }},
    "description": {{ cookiecutter.description|tojson }},
    "author_name": {{ cookiecutter.author_name|tojson }},
    "author_email": {{ cookiecutter.author_email|tojson }}
}""")
SLUGS_TAKEN = json.loads(r"""{{ cookiecutter._slugs_taken|tojson }}""")

EXAMPLES = {
    "project_name": "My Site",
    "description": "A website about gardens.",
    "author_name": "Ada Lovelace",
    "author_email": "ada@example.com",
}

# Without the underscore at either end, which pyproject.toml does not allow in a name.
SLUG = re.compile(r"[a-z]([a-z0-9_]*[a-z0-9])?", re.ASCII)

# Host names and PostgreSQL's names end at 63; this leaves room for what is put
# around the slug, as in the database test_my_site_gw0. Windows ends paths at 260.
LONGEST_SLUG = 40

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")

# Lines broken and text turned round unseen, in the code that the answer ends up in.
# Marks that join emoji and direct right-to-left text are none of these.
INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}
BIDI_OVERRIDES = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_unseen(character):
    return unicodedata.category(character) in INVISIBLE or character in BIDI_OVERRIDES


def why_taken(slug):
    """Return what else has this name, or None."""
    for owner, lines in SLUGS_TAKEN.items():
        if slug in " ".join(lines).split():
            return owner
    return None


def acceptable_slug(slug):
    """Return the acceptable slug that is nearest to a refused one."""
    slug = re.sub(r"[^a-z0-9]+", "_", slug.lower()).strip("_")
    slug = slug[: LONGEST_SLUG - len("site_")].strip("_") or "my_site"
    if slug[0].isdigit():
        return f"site_{slug}"
    return f"{slug}_site" if why_taken(slug) else slug


def without_unseen(text):
    return " ".join("".join(" " if is_unseen(c) else c for c in text).split())


def refusals():
    """Yield what is wrong: the question, why its answer is refused, a better one."""
    slug = ANSWERS["project_slug"]
    if not SLUG.fullmatch(slug):
        why = "which is not a Python name in lower case (letters, digits and _ inside)"
        yield "project_slug", why, acceptable_slug(slug)
    if len(slug) > LONGEST_SLUG:
        why = f"which is longer than {LONGEST_SLUG} characters"
        yield "project_slug", why, acceptable_slug(slug)
    if why_taken(slug):
        yield "project_slug", f"the name of {why_taken(slug)}", acceptable_slug(slug)

    email = ANSWERS["author_email"]
    if not EMAIL.fullmatch(email) or any(map(is_unseen, email)):
        yield "author_email", "which is not an e-mail address", EXAMPLES["author_email"]

    for question in ("project_name", "description", "author_name"):
        answer, example = ANSWERS[question], EXAMPLES[question]
        if not answer.strip() and question != "description":
            yield question, "which is empty", example
        unseen = next(filter(is_unseen, answer), None)
        if unseen:
            why = f"which contains the invisible character U+{ord(unseen):04X}"
            yield question, why, without_unseen(answer) or example


for question, why, better in refusals():
    sys.exit(
        f"{question} cannot be {ANSWERS[question]!r}, {why}; try {better!r}.\n"
        "(Nothing was written. What Cookiecutter logs below this line is its own.)"
    )
