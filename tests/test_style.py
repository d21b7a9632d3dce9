"""The style sheet, on a page that uses every element of HTML."""

import shutil

import pytest
from support.browser import IS_TOO_WIDE, RUN_AXE, Visitor
from support.site import in_development
from support.template import IN_PROJECT
from support.tools import find_npm_file

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# https://html.spec.whatwg.org/multipage/indices.html#elements-3, without the elements of
# the head, scripts, and what the Content-Security-Policy blocks (embed, object).
ELEMENTS = """
a abbr address area article aside audio b bdi bdo blockquote br button canvas caption cite
code col colgroup data datalist dd del details dfn dialog div dl dt em fieldset figcaption
figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr i iframe img input ins kbd label
legend li main map mark math menu meter nav noscript ol optgroup option output p picture
pre progress q rp rt ruby s samp search section select small source span strong sub summary
sup svg table tbody td template textarea tfoot th thead time tr track u ul var video wbr
"""
INPUT_TYPES = """
text search url tel email password date month week time datetime-local number range color
checkbox radio file submit image reset button
"""

ADD_PAGE = f"""
from django.views.generic import TemplateView

types = {INPUT_TYPES.split()}
page = TemplateView.as_view(
    template_name="elements.html", extra_context={{"types": types}}
)
urlpatterns += [path("elements/", page)]
"""

# Wide tables scroll. Browsers let the keyboard focus what scrolls; axe does not know.
ACCEPTED = "scrollable-region-focusable"

# The controls that have another look than the site's, as browsers draw them by default.
FIND_BARE_CONTROLS = """
const drawn = ["checkbox", "radio", "range", "image"];
return [...document.querySelectorAll("main :is(input, select, textarea, button)")]
  .filter(control => !drawn.includes(control.type))
  .filter(control => getComputedStyle(control).borderRadius !== "8px")
  .map(control => control.outerHTML);
"""
FIND_STRETCHED_CONTROLS = """
return [...document.querySelectorAll("[type=checkbox], [type=radio], button")]
  .filter(control => control.offsetWidth > 200)
  .map(control => control.outerHTML);
"""
FIND_ELEMENTS = """
return [...document.querySelectorAll("body *")].map(element => element.localName);
"""


def test_every_element(workspace, chromium):
    shutil.copy(IN_PROJECT / "elements.html", workspace / "templates")
    with (workspace / workspace.name / "urls.py").open("a", encoding="utf-8") as urls:
        urls.write(ADD_PAGE)
    errors = []

    with in_development(workspace) as site:
        visitor = Visitor(chromium, site.origin)
        visitor.visit("/elements/")
        assert (
            set(ELEMENTS.split()) - set(chromium.execute_script(FIND_ELEMENTS)) == set()
        )
        chromium.execute_script(find_npm_file("axe-core/axe.min.js").read_text("utf-8"))
        for theme in ("light", "dark"):
            for width in (360, 1280):
                visitor.set_view(theme, width)
                found = [
                    violation
                    for violation in chromium.execute_async_script(RUN_AXE)
                    if not violation.startswith(ACCEPTED)
                ]
                found += chromium.execute_script(FIND_BARE_CONTROLS)
                found += chromium.execute_script(FIND_STRETCHED_CONTROLS)
                if chromium.execute_script(IS_TOO_WIDE):
                    found.append("Too wide")
                errors += [f"{theme}, {width} pixels: {error}" for error in found]
        visitor.set_view("light", 1280)

    assert not errors, "\n".join(errors)
