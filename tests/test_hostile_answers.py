"""
Answers in all of Unicode, and with the metacharacters of all languages of the project.

Each answer is either rejected in one sentence, or makes a project that parses and shows
exactly that text. HYPOTHESIS_PROFILE=thorough tries 25 times as many answers.
"""

import ast
import base64
import contextlib
import email
import email.policy
import email.utils
import json
import os
import quopri
import re
import shutil
import subprocess
import tempfile
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from cookiecutter.generate import generate_context, generate_files
from cookiecutter.prompt import prompt_for_config
from cookiecutter.utils import create_env_with_context
from hypothesis import HealthCheck, Phase, assume, event, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.project import python_of
from support.template import IN_PROJECT, SOURCES, TEMPLATE, TREE

# Derandomized: every run tries the same answers, so that a failure can be repeated.
settings.register_profile(
    "default",
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("default"), max_examples=5000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

PRE_GEN_HOOK = (TEMPLATE / "hooks" / "pre_gen_project.py").read_text("utf-8")

FRAGMENTS = {
    "Jinja": [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "#:",
        "{% set a = 1 %}",
        "{{ 7 * 7 }}",
    ],
    "TOML": ['"', '"""', "'", "'''", "\\u0041", "\\", "[table]", "a = 1", ","],
    "YAML": [": ", " #", "- ", "&a", "*a", "!!str", "---", "...", "| ", "? ", "@", "~"],
    "Markdown": [
        "```",
        "~~~",
        "# ",
        "===",
        "> ",
        "1. ",
        "* ",
        "    ",
        "[a](b)",
        "[a]: b",
    ],
    "HTML": ["<script>", "</title>", "<!--", "-->", "&amp;", '">', "]]>", "<?", "&#0;"],
    "shell": ["$(id)", "`id`", ";", "&&", "|", "$HOME", "${A}", "!", "\\n", "%PATH%"],
    "Python": ["%s", "%(name)s", "{0}", "{name!r}", "\\N{DOG}", "\\x00", "\\", '\\"'],
    "Django": ["{% load x %}", "{{ SITE }}", "{% endblock %}"],
    "e-mail": [
        "=?utf-8?q?a?=",
        "<a@b.c>",
        "\r\nBcc: a@b.c",
        "(a)",
        "[a] ",
        '"a" ',
        ".",
        "@",
    ],
    "invisible": [
        "\x00",
        "\x1b",
        "\x85",
        "\u2028",
        "\u202e",
        "\ufeff",
        "\u200d",
        "\xad",
    ],
    "space": [" ", "  ", "\xa0", "\u3000", "\t", "\n"],
}
fragments = st.sampled_from([f for group in FRAGMENTS.values() for f in group])
characters = st.characters()
words = st.sampled_from(["Site", "of", "Ada", "été", "моя", "网站", "🏳️‍🌈", "موقع", "ß"])
texts = st.lists(st.one_of(words, fragments, characters), max_size=8).map("".join)
# Without what is usually rejected: more of these make a project.
accepted_texts = st.lists(
    st.one_of(
        words,
        fragments.filter(lambda text: text.isprintable() and "{" not in text),
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]),
    ),
    min_size=1,
    max_size=40,
).map("".join)
any_texts = st.one_of(accepted_texts, texts)
slugs = st.one_of(
    st.from_regex(r"[a-z][a-z0-9_]{0,33}", fullmatch=True),
    st.sampled_from(["class", "django", "con", "tests", "my_site", "json", "site"]),
    texts,
)
emails = st.one_of(
    st.emails(),
    st.builds("{}@{}".format, texts, st.sampled_from(["example.com", "münchen.de"])),
    st.builds("ada@{}".format, texts),
    texts,
)

PLAIN = {
    "project_name": "My Site",
    "project_slug": "my_site",
    "description": "A site.",
    "author_name": "Ada Lovelace",
    "author_email": "ada@example.com",
}


def typed(answer):
    """Return a default for a question that Cookiecutter renders to the answer."""
    escaped = "".join(f"\\U{ord(character):08x}" for character in answer)
    return f"{{{{ '{escaped}' }}}}"


def context_of(answers):
    """Return the context that Cookiecutter makes when the answers are typed."""
    context = generate_context(
        context_file=str(TEMPLATE / "cookiecutter.json"),
        extra_context={question: typed(text) for question, text in answers.items()},
    )
    context["cookiecutter"] = prompt_for_config(context, no_input=True)
    return context


def rejection(context):
    """Run the hook that checks answers; return its message, or None."""
    hook = create_env_with_context(context).from_string(PRE_GEN_HOOK)
    try:
        exec(compile(hook.render(**context), "hook", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        return end.code
    return None


def rejected(answers):
    """
    Tell whether the hook rejects the answers.

    If it does, check the message: one sentence with an answer that is accepted.
    """
    context = context_of(answers)
    message = rejection(context)
    event("rejected" if message else "accepted")
    if not message:
        # An update renders the recorded answers as if they were defaults.
        recorded = create_env_with_context(context)
        for question, answer in answers.items():
            assert recorded.from_string(answer).render() == answer, question
        return False
    sentence, _, note = message.partition("\n")
    assert note == "(No file was written. The lines below come from Cookiecutter.)"
    question = sentence.partition(" ")[0]
    answer = context["cookiecutter"][question]
    assert sentence.startswith(f"{question} cannot be {answer!r}, ")
    better = ast.literal_eval(sentence.rpartition("; try ")[2].rstrip("."))
    assert rejection(context_of({**PLAIN, question: better})) is None
    return True


@pytest.fixture(scope="session")
def render(tmp_path_factory):
    """
    Return a function that renders the files that contain an answer.

    `render(answers, questions)` renders only the files that contain an answer to one of
    these questions. No other file depends on them.
    """
    folder = tmp_path_factory.mktemp("templates")

    def template(questions):
        copy = folder / "-".join(questions)
        for path in SOURCES if not copy.exists() else ():
            used = re.findall(
                r"cookiecutter\.(?:__)?([a-z_]+)", path.read_text("utf-8")
            )
            if TREE in path.parents and any(
                name.startswith(questions) for name in used
            ):
                file = copy / path.relative_to(TEMPLATE)
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, file)
        return copy

    @contextlib.contextmanager
    def render(answers, questions):
        output = tempfile.mkdtemp(dir=folder)
        yield Path(
            generate_files(
                repo_dir=str(template(questions)),
                context=context_of(answers),
                output_dir=output,
                accept_hooks=False,
            )
        )
        shutil.rmtree(output)

    return render


@pytest.fixture(scope="session")
def parse(render):
    """Return a function that renders a project and returns its parsed files by name."""

    def parse(answers, questions):
        with render(answers, questions) as project:
            return {
                path.relative_to(project).as_posix(): parsed(path)
                for path in project.rglob("*")
                if path.is_file()
            }

    return parse


def parsed(path):
    """Return what a file contains, or raise the error of its language's parser."""
    text = path.read_text("utf-8")
    match path.suffix:
        case ".py":
            compile(text, path, "exec")
            return text
        case ".toml":
            return tomllib.loads(text)
        case ".yaml":
            return list(yaml.safe_load_all(text))
        case ".json":
            return json.loads(text)
    return text


def outline(page):
    """Return the kinds of the blocks of a Markdown page, without those in quotations."""
    return [token.type for token in MarkdownIt().parse(page) if token.level == 0]


def site_of(settings_py):
    """Return the value of SITE in the text of a settings.py."""
    for node in ast.parse(settings_py).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SITE":
            return ast.literal_eval(node.value)
    raise AssertionError("SITE is not assigned.")


@pytest.fixture(scope="session")
def outlines(parse):
    """Return the outlines of the Markdown pages of a project with ordinary answers."""
    files = parse(PLAIN, tuple(PLAIN))
    return {name: outline(files[name]) for name in files if name.endswith(".md")}


@pytest.mark.slow
@given(name=any_texts, description=any_texts, author=any_texts)
def test_hostile_text_is_rejected_or_kept(parse, outlines, name, description, author):
    answers = {
        **PLAIN,
        "project_name": name,
        "description": description,
        "author_name": author,
    }
    if rejected(answers):
        return
    files = parse(answers, ("project_name", "description", "author_name"))

    project = files["pyproject.toml"]["project"]
    assert project["description"] == description
    assert project["authors"] == [{"name": author, "email": "ada@example.com"}]
    assert site_of(files["my_site/settings.py"]) == {
        "name": name,
        "description": description,
        "email": "ada@example.com",
    }
    assert files["README.md"].startswith(f"# {name}\n\n> {description}\n")
    for page in (path for path in files if path.endswith(".md")):
        assert outline(files[page]) == outlines[page]


class Page(HTMLParser):
    """The elements of a page, and the text in <title>, <h1> and <footer>."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.texts, self.descriptions = [], [], {}, []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        if tag == "meta" and "description" in attributes.get("name", ""):
            self.descriptions.append(attributes["content"])
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_data(self, text):
        if self.open:
            tag = self.open[-1]
            self.texts[tag] = self.texts.get(tag, "") + text


ENCODED_WORD = re.compile(r"=\?([\w-]+)\?([bq])\?([^?]*)\?=", re.IGNORECASE)


def unfolded(header):
    """Return a header in one line: https://www.rfc-editor.org/rfc/rfc5322#section-2.2.3"""
    return re.sub(r"\r?\n(?=[ \t])", "", header)


def decoded(text):
    """Decode the encoded words of a header: https://www.rfc-editor.org/rfc/rfc2047"""

    def decode(word):
        charset, encoding, content = word.groups()
        if encoding.lower() == "b":
            return base64.b64decode(content).decode(charset)
        content = quopri.decodestring(content.replace("_", " "), header=False)
        return content.decode(charset)

    # The space between two encoded words is not part of the text. Python's own parser
    # keeps it in some names.
    return ENCODED_WORD.sub(decode, re.sub(r"(?<=\?=)[ \t]+(?==\?)", "", text))


@pytest.fixture(scope="module")
def show(project):
    """Return a function that returns what a site shows with a settings.py."""
    command = (
        "manage.py",
        "shell",
        "--no-imports",
        "-c",
        "import answers as a; a.main()",
    )
    process = subprocess.Popen(
        [python_of(project), *command],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(IN_PROJECT), "PYTHONUTF8": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )

    def show(path):
        process.stdin.write(f"{json.dumps(str(path))}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield show
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
@settings(max_examples=settings.default.max_examples // 5)
@given(name=accepted_texts, description=accepted_texts, address=st.emails())
@example(name="My Site", description="", address="ada@exåmple.com")
def test_hostile_answers_are_shown_as_typed(render, show, name, description, address):
    answers = {
        **PLAIN,
        "project_name": name,
        "description": description,
        "author_email": address,
    }
    assume(rejection(context_of(answers)) is None)
    with render(answers, ("project_name",)) as project:
        shown = show(project / "my_site" / "settings.py")

    page = Page(shown["home"])
    assert page.open == []
    assert page.texts["title"] == name
    assert page.texts["h1"] == f"Welcome to {name}"
    assert page.descriptions == [description]
    assert shown["manifest"]["name"] == name
    assert shown["security"].startswith(f"Contact: mailto:{address}\n")
    headers = email.message_from_string(shown["mail"], policy=email.policy.compat32)
    sender, sender_address = email.utils.parseaddr(unfolded(headers["From"]))
    user, _, domain = address.rpartition("@")
    # Domains are sent in ASCII: https://www.rfc-editor.org/rfc/rfc5891
    ascii_domain = domain if domain.isascii() else domain.encode("idna").decode()
    assert decoded(sender) == name
    assert sender_address == f"{user}@{ascii_domain}"
    assert decoded(unfolded(headers["Subject"])).startswith(f"[{name}] ")


@pytest.mark.slow
@given(email=emails)
def test_hostile_email_address_is_rejected_or_kept(parse, email):
    answers = {**PLAIN, "author_email": email}
    if rejected(answers):
        return
    files = parse(answers, ("author_email",))

    assert files["pyproject.toml"]["project"]["authors"][0]["email"] == email
    assert site_of(files["my_site/settings.py"])["email"] == email


@pytest.mark.slow
@given(slug=slugs)
def test_hostile_slug_is_rejected_or_used(parse, outlines, slug):
    answers = {**PLAIN, "project_slug": slug}
    if rejected(answers):
        return
    files = parse(answers, ("project_slug",))

    assert files["pyproject.toml"]["project"]["name"] == slug
    assert f'ROOT_URLCONF = "{slug}.urls"' in files[f"{slug}/settings.py"]
    for page in (path for path in files if path.endswith(".md")):
        assert outline(files[page]) == outlines[page]


@pytest.mark.slow
@given(name=any_texts)
def test_default_slug_is_valid(name):
    answers = {"project_name": name, "author_email": "ada@example.com"}
    slug = context_of(answers)["cookiecutter"]["project_slug"]
    message = rejection(context_of({**PLAIN, "project_slug": slug}))
    assert message is None or ", the name of " in message
