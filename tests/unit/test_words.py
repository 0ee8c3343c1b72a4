# SPDX-License-Identifier: Apache-2.0
"""The words that our pages do not use, each with what to write instead."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: A regular expression each, for whole words in any case: what to write instead.
INSTEAD = {
    r"nudg\w+": "ask for an intermediate value",
    r"hinder\w*|hindrance": "the state and its reason",
    r"strange": "foreign, or unknown",
    r"all at once|everything at once": "snapshot, or in one request",
    r"go(?:es|ne)? on from there": "say what the second thing does",
    r"fill(?:ed|ing) with water": "water-filling",
    r"what (?:there )?is (?:there )?of what was asked": "what is applied",
    r"asked for": "requested",
    r"lift(?:s|ed|ing)?(?! it)": "reset for a value on the host, unset for a setting",
    r"(?:can|cannot|could) be told": "say who determines it, or distinguish",
    r"(?:made|done|make|makes|put) anew": "re-create, or repeat",
    r"mend(?:s|ed|ing)?": "correct, or repair",
    r"in the hands of": "controlled by",
    r"keepers?|holders?": "agent",
    r"standings?": "history",
    r"taken? (?:it )?off": "reset, or remove",
    r"takes? \w+ away": "remove, or unset",
    r"(?:is|are|was|were) given": "get",
    r"(?:does|do) nothing": "has no effect",
    r"somebody else(?:'s)?|someone else(?:'s)?": "another program",
    r"promise more than": "overcommit",
    r"where people type": "on client machines",
    r"all the same": "nevertheless, or still",
    r"what (?:it|they) amounts? to": "name the thing",
    r"policy rules?": "access rule",
}
#: Files and directories below ROOT. "to lift it" is the public text of a range.
PAGES = ("README.rst", "HACKING.rst", "devstack", "doc/source", "releasenotes/notes")
CODE = ("nova_qos", "novaclient_qos", "hooks", "nova_qos_dashboard")
#: Written by tools from the code's words.
GENERATED = {"doc/source/admin/evaluation.rst", "doc/source/cli/index.rst",
             "doc/source/rest/actions.rst"}
_WORDS = re.compile("|".join(rf"(?P<w{place}>\b(?:{words.replace(' ', chr(92) + 's+')})\b)"
                             for place, words in enumerate(INSTEAD)), re.IGNORECASE)
#: Literals, quoted messages, and blocks of code: what others say.
_QUOTED = re.compile(r"``[^`]+``|(?<![*\w])\*[^*\s][^*]*\*(?!\*)"
                     r"|(?:::|code-block:: \w+)\n(?:\n| {4}.*\n)+")
_TOKENS = {"COMMENT", "STRING", "FSTRING_MIDDLE"}


def files() -> list[Path]:
    """What is looked through."""
    found = {path for name in (*PAGES, *CODE) for path in (ROOT / name, *(ROOT / name).rglob("*"))
             if path.suffix in {".rst", ".yaml"} or (name in CODE and path.suffix == ".py")}
    return sorted(found - {ROOT / name for name in GENERATED})


def prose(text: str, suffix: str) -> Iterator[tuple[int, str]]:
    """What we say in a file, each part with the number of its first line."""
    if suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if tokenize.tok_name[token.type] in _TOKENS and " " in token.string:
                yield token.start[0], token.string
    else:
        yield 1, _QUOTED.sub(lambda quoted: re.sub(r"[^\n]", " ", quoted[0]), text)


def complaints(text: str, suffix: str) -> Iterator[tuple[int, str, str]]:
    """Line, word and replacement of each word that is not to be used."""
    for first, part in prose(text, suffix):
        for found in _WORDS.finditer(part):
            assert found.lastgroup is not None
            yield (first + part[:found.start()].count("\n"), " ".join(found[0].split()),
                   list(INSTEAD.values())[int(found.lastgroup[1:])])


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_words(path: Path) -> None:
    said = [f"{path.relative_to(ROOT)}:{line}: not '{word}' but: {instead}"
            for line, word, instead in complaints(path.read_text(), path.suffix)]
    assert not said, "\n".join(said)


@pytest.mark.parametrize(("text", "suffix"), [
    ("Water\nwas\nfilled\nwith water.", ".rst"),
    ("def f():\n    pass\n'filled with water'\n", ".py")])
def test_a_word_is_found(text: str, suffix: str) -> None:
    assert list(complaints(text, suffix)) == [(3, "filled with water", "water-filling")]


@pytest.mark.parametrize("text", ["``keeper``", "says *it is mended*.", "::\n\n    lifted\n"])
def test_quotations_are_free(text: str) -> None:
    assert list(complaints(text, ".rst")) == []
