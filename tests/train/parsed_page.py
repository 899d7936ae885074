"""A report as its reader gets it: tags, tables, texts and images."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
from PIL import Image

VOID_TAGS = {"img", "meta"}


class ParsedPage(HTMLParser):
    """Parses a page, and checks that its tags are nested.

    Attributes:
        tags: Name and attributes of each tag.
        texts: Tag and text of each piece of text.
        tables: Tables of rows of cell texts.
    """

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.tables, self._open = [], [], [], []
        self.feed(page.decode("utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID_TAGS:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))
        if "table" in self._open:
            self.tables[-1][-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def text_of(self, tag):
        return [text for name, text in self.texts if name == tag]

    def table(self, title):
        """Return the rows of the table whose first header is a title, by their first cells."""
        (found,) = [table for table in self.tables if table[0][0] == title]
        return {row[0]: row[1:] for row in found}

    def images(self):
        return [decode_image(attributes["src"]) for attributes in self.all("img")]


def decode_image(source):
    kind, data = source.split(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
