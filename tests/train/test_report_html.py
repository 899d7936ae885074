"""HTML that is escaped, nested and complete in itself."""

import numpy as np
import pytest

from keras_sam.train.report_html import (
    MAX_TEXT,
    element,
    embedded_image,
    render_page,
    section,
    shorten,
    table,
)
from tests.train.parsed_page import ParsedPage, decode_image

HOSTILE = """</td></table><script>alert("x")</script>&lt;'"""


def test_texts_and_attributes_are_escaped():
    page = ParsedPage(render_page(HOSTILE, element("p", HOSTILE, title=HOSTILE), HOSTILE))
    assert page.all("script") == []
    assert page.all("p") == [{"title": HOSTILE}]
    for tag in ("p", "title", "h1"):
        assert "".join(page.text_of(tag)) == HOSTILE


def test_texts_around_elements_keep_their_order():
    page = ParsedPage(render_page("", element("p", "a", element("b", "c"), "d", "e")))
    assert [text for tag, text in page.texts if tag in ("p", "b")] == ["a", "c", "de"]


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ud800", "\u202e"])
def test_unprintable_characters_are_replaced(character):
    page = ParsedPage(render_page("", element("p", f"a{character}b")))
    assert page.text_of("p") == ["a\ufffdb"]


def test_names_in_other_scripts_are_unchanged():
    page = ParsedPage(render_page("", element("p", "Zellkern 細胞核 نواة 🔬")))
    assert page.text_of("p") == ["Zellkern 細胞核 نواة 🔬"]


def test_tables_have_headers_and_short_texts():
    cell = element("td", "2", class_="number")
    page = ParsedPage(render_page("", table(["Name", "Value"], [["a", "1"], ["x" * 999, cell]])))
    assert page.tables == [[["Name", "Value"], ["a", "1"], [shorten("x" * 999), "2"]]]
    assert [attributes["scope"] for attributes in page.all("th")] == ["col", "col", "row", "row"]
    assert {"class": "number"} in page.all("td")


def test_shorten():
    assert shorten("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert shorten("x" * (MAX_TEXT + 1)) == "x" * (MAX_TEXT - 1) + "…"


def test_images_decode_to_their_pixels():
    y, x = np.mgrid[:40, :60]
    image = np.stack([4 * x, 6 * y, 120 + x - y], axis=-1).astype(np.uint8)
    found = embedded_image(image, HOSTILE)
    assert found.get("alt") == HOSTILE
    np.testing.assert_allclose(decode_image(found.get("src")), image, atol=8)


def test_a_page_allows_no_external_resource():
    page = ParsedPage(render_page("Report", section("A", "text")))
    (policy,) = [meta for meta in page.all("meta") if "http-equiv" in meta]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith("default-src 'none'")
    (style,) = page.text_of("style")
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert page.text_of("h2") == ["A"]
