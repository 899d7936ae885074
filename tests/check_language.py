"""Check the language of docstrings, docs and command-line help. Run by `make check`.

python -m tests.check_language [PATH ...]
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import typer

ROOT = Path(__file__).parent.parent
CODE_FOLDERS = ("keras_sam", "recipes", "benchmarks", "tests")
DOCS = ("README.md", "CHANGELOG.md", "docs/**/*.md", "recipes/**/*.md")
MAX_WORDS = 30

SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises")
VAGUE_STARTS = ("of", "what", "whether", "as", "how", "that", "likewise")
# Private or misleading words, and the standard ones.
BANNED = {
    r"look(s|ed|ing)? closer": "zoom in, or predict in a crop",
    r"from near": "zoomed in, or in a crop",
    r"everything mode": "automatic mask generation",
    r"rated best|best rated|highest rated": "highest predicted IoU",
    r"held[- ]out": "validation",
    r"outlines? (are|is|were) moved": "boundaries are refined",
    r"may be meant|what is meant": "plain words for the ambiguity",
    r"likewise": "the same, spelled out",
    r"where nothing tells|tells? of": "is stored in, or contains",
    r"are reached|reaches (its|the) sides": "expanded to the box",
    r"left out": "omitted, skipped or ignored",
    r"lies? beside": "is next to",
    r"so many": "the number of",
    r"goes on": "continues or resumes",
    r"nothing but": "only",
    r"the way of an": "the transform of an",
    r"(models?|files?|thresholds?|presets?) (sees?|tells?|knows?|says?|wants?)": "is or has",
    r"colour|neighbour|grey|licence|normalis|labelled|centre[ds]?\b": "American spelling",
}
BANNED_PATTERN = re.compile(
    "|".join(rf"(?P<w{index}>\b(?:{pattern}))" for index, pattern in enumerate(BANNED)),
    re.IGNORECASE,
)


def main(paths: list[str]) -> int:
    """Print every problem, and return 1 if there is one."""
    problems = list(find_problems([Path(path).resolve() for path in paths] or [ROOT]))
    for problem in problems:
        print(problem)
    return int(bool(problems))


def find_problems(paths: list[Path]) -> Iterator[str]:
    """Yield the problems of all files under some paths, and of the command-line help."""

    def is_selected(path: Path) -> bool:
        return any(path == one or one in path.parents for one in paths)

    for path in sorted(path for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*.py")):
        if is_selected(path) and path != Path(__file__).resolve():
            yield from (f"{path.relative_to(ROOT)}:{problem}" for problem in check_code(path))
    for path in sorted(path for pattern in DOCS for path in ROOT.glob(pattern)):
        if is_selected(path):
            yield from (f"{path.relative_to(ROOT)}:{problem}" for problem in check_page(path))
    if is_selected(ROOT / "keras_sam" / "cli" / "app.py"):
        for command, text in help_texts():
            problems = [*long_sentences(text), *banned_words(text)]
            yield from (f"keras-sam {command} --help: {problem}" for problem in problems)


def check_code(path: Path) -> Iterator[str]:
    """Yield the problems of a Python file, each with its line number."""
    source = path.read_text()
    for number, line in enumerate(source.splitlines(), start=1):
        yield from (f"{number}: {problem}" for problem in banned_words(line))
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, nodes) and (text := ast.get_docstring(node)):
            first = node.body[0].lineno
            yield from (f"{first}: {problem}" for problem in vague_entries(text))


def vague_entries(docstring: str) -> Iterator[str]:
    """Yield the entries of a docstring's sections that do not start with a noun phrase."""
    section = ""
    for line in docstring.splitlines():
        if heading := re.fullmatch(r"(\w+):", line):
            section = heading[1]
        elif section in SECTIONS and re.match(r" {4}\S", line):
            entry = line.strip()
            text = re.sub(r"^(\*{0,2}\w+|`[^`]*`)(, \*{0,2}\w+)*: ", "", entry)
            first = re.match(r"\w+", text)
            has_name = text != entry or section in ("Returns", "Yields")
            if first and has_name and first[0].lower() in VAGUE_STARTS:
                yield f"an entry starts with {first[0]!r}: {entry}"
            elif first and text != entry and first[0][0].islower():
                yield f"an entry starts with a small letter: {entry}"
        elif line and not line.startswith(" "):
            section = ""


def check_page(path: Path) -> Iterator[str]:
    """Yield the problems of a Markdown page."""
    text = path.read_text()
    for number, line in enumerate(text.splitlines(), start=1):
        yield from (f"{number}: {problem}" for problem in banned_words(line))
    prose = re.sub(r"^```.*?^```$", "\n", text, flags=re.MULTILINE | re.DOTALL)
    prose = "\n".join("" if line.lstrip().startswith("|") else line for line in prose.splitlines())
    yield from (f" {problem}" for problem in long_sentences(prose))


def banned_words(text: str) -> Iterator[str]:
    """Yield the banned words in a text, with their replacements."""
    for match in BANNED_PATTERN.finditer(text):
        index = next(int(name[1:]) for name, value in match.groupdict().items() if value)
        yield f"{match[0]!r}: use {list(BANNED.values())[index]}"


def long_sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text in Markdown that have too many words."""
    text = re.sub(r"`[^`]*`", "code", text)
    text = text.replace("*", "")
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-#>]|\d+\.) ?)", text)
    for block in blocks:
        for sentence in re.split(r"(?<=[.!?:;])\s+", " ".join(block.split())):
            words = [word for word in sentence.split() if re.search(r"\w", word)]
            if len(words) > MAX_WORDS:
                yield f"a sentence has {len(words)} words: {' '.join(words[:8])} ..."


def help_texts() -> Iterator[tuple[str, str]]:
    """Yield each command's name with the texts of its `--help`."""
    from keras_sam.cli.app import app

    yield from _help_of(typer.main.get_command(app), "")


def _help_of(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    yield name, command.help or ""
    for option in command.params:
        yield name, getattr(option, "help", None) or ""
    for child_name, child in getattr(command, "commands", {}).items():
        yield from _help_of(child, f"{name} {child_name}".strip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
