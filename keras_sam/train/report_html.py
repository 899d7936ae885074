"""HTML of a report: elements whose texts are escaped, tables, images and the page."""

import base64
import io
import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, tostring

import numpy as np
from PIL import Image

Child = Element | str

MAX_TEXT = 200  # characters of a text from a file
JPEG_QUALITY = 88
# Control characters, halves of surrogate pairs, and characters that reverse the text direction.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
# Browsers that follow it load nothing, even if an element asked for it.
CONTENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --muted: #60666d; --paper: #ffffff;
  --line: #d9dde1; --better: #0a7a3c; --worse: #b3261e; --curve: #1e6fd9; --best: #c26a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --muted: #9aa1a8; --paper: #15181b;
  --line: #343a40; --better: #4cc67f; --worse: #ff8a80; --curve: #6aa9ff; --best: #ffb454; } }
body { margin: 2rem auto; max-width: 68rem; padding: 0 1rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top; overflow-wrap: anywhere; }
thead th { font-weight: 600; white-space: nowrap; } td.number { white-space: nowrap; }
tbody th { font-weight: 400; min-width: 7rem; }
.muted { color: var(--muted); } .better { color: var(--better); } .worse { color: var(--worse); }
pre { overflow-x: auto; padding: 0.7rem; border: 1px solid var(--line); }
.charts { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); }
.charts figure, .gallery figure { margin: 0; }
svg { width: 100%; height: auto; } svg text { fill: var(--muted); font-size: 11px; }
svg .grid { stroke: var(--line); } svg .curve { stroke: var(--curve); fill: none;
  stroke-width: 1.8; } svg .point { fill: var(--curve); } svg .best { fill: var(--best);
  stroke: var(--best); } svg .baseline { stroke: var(--muted); stroke-dasharray: 4 3; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(30rem, 100%), 1fr));
  gap: 1.2rem; } .gallery div { display: flex; gap: 4px; }
.gallery img { width: 33%; object-fit: contain; } figcaption { overflow-wrap: anywhere; }
"""


def element(tag: str, *children: Child, **attributes: str | float) -> Element:
    """Create an element. Texts and attributes are escaped when the page is rendered.

    Args:
        tag: Tag of HTML or SVG.
        *children: Elements and texts. Unprintable characters are replaced.
        **attributes: Attributes. `class_` is `class`, and `stroke_width` is `stroke-width`.
    """
    node = Element(
        tag,
        {
            name.rstrip("_").replace("_", "-"): _printable(str(value))
            for name, value in attributes.items()
        },
    )
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            node.append(child)
            last = child
        elif last is None:
            node.text = (node.text or "") + _printable(child)
        else:
            last.tail = (last.tail or "") + _printable(child)
    return node


def table(headers: Sequence[str], rows: Sequence[Sequence[Child]]) -> Element:
    """Create a table. The first cell of each row is its header.

    Args:
        headers: Headers of the columns. Without any, the table has no header row.
        rows: Cells: texts, which are shortened, or elements of a cell.
    """
    head = [element("thead", element("tr", *(element("th", h, scope="col") for h in headers)))]
    body = [element("tr", _cell(row[0], "th", scope="row"), *map(_cell, row[1:])) for row in rows]
    content = element("table", *(head if headers else []), element("tbody", *body))
    return element("div", content, class_="scroll")


def section(title: str, *children: Child) -> Element:
    """Create a section with a heading."""
    return element("section", element("h2", title), *children)


def shorten(text: str) -> str:
    """Shorten a text from a file to `MAX_TEXT` characters."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def embedded_image(image: np.ndarray, description: str) -> Element:
    """Create an image that is part of the page.

    Args:
        image: RGB image `(H, W, 3)`, uint8.
        description: Text for people who cannot see the image.
    """
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    source = f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
    return element("img", src=source, alt=shorten(description))


def render_page(title: str, *content: Child) -> bytes:
    """Render a page that loads nothing from elsewhere, for light and dark screens."""
    style = Element("style")
    style.text = STYLE
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=CONTENT_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        style,
    )
    page = element("html", head, element("body", element("h1", title), *content), lang="en")
    text: bytes = tostring(page, encoding="utf-8", method="html")
    return b"<!doctype html>\n" + text


def _cell(content: Child, tag: str = "td", **attributes: str) -> Element:
    if isinstance(content, Element):
        return content
    return element(tag, shorten(content), **attributes)


def _printable(text: str) -> str:
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
