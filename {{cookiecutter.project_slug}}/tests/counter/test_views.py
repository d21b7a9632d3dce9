import pytest

pytestmark = pytest.mark.django_db


def test_htmx_gets_the_changed_part_of_the_page(client):
    response = client.post("/counter/", headers={"HX-Request": "true"})

    assert response.text == '<output id="count">1</output>'


def test_form_works_without_javascript(client):
    client.post("/counter/")
    response = client.post("/counter/", follow=True)

    assert response.redirect_chain == [("/counter/", 302)]
    assert '<output id="count">2</output>' in response.text


def test_pages_load_htmx(client):
    assert "htmx-2.min.js" in client.get("/").text
