# SPDX-License-Identifier: Apache-2.0
"""What the panel has from elsewhere, as far as that needs no Horizon."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from nova_qos.api.rules import list_rules

DASHBOARD = Path(__file__).parents[2] / "nova_qos_dashboard"
TEMPLATES = sorted((DASHBOARD / "nova_qos_dashboard/templates").rglob("*.html"))
SOURCES = sorted((DASHBOARD / "nova_qos_dashboard").rglob("*.py"))
#: What marks a sentence for translation.
MARKS = {"_", "gettext", "ngettext", "ngettext_lazy"}
#: Where Horizon and Django have what people read, be it one word.
TITLES = {"verbose_name", "label", "help_text", "page_title", "modal_header", "submit_label",
          "placeholder"}
#: Literals of several words that nobody reads.
NO_SENTENCES: set[str] = {
    "default policy ", "table-condensed small", "{{ host_name }}",
    "{{ row.name|default:policy_id }}"}
_SEVERAL = re.compile("[A-Za-z]{2,} +[A-Za-z]{2,}")
_LETTERS = re.compile(r"[A-Za-z][A-Za-z ]*[A-Za-z]")


def test_it_has_the_access_rules_as_nova_has_them() -> None:
    rules = yaml.safe_load((DASHBOARD / "nova_qos_dashboard/policy/nova-qos.yaml").read_text())
    assert rules == {rule.name: rule.check_str for rule in list_rules()}


def test_it_has_no_scripts_and_styles_of_its_own() -> None:
    """They would have to be compressed before any page of Horizon is shown."""
    assert TEMPLATES
    assert not [path for path in DASHBOARD.rglob("*") if path.suffix in (".js", ".scss", ".css")]
    assert not [path for path in TEMPLATES if "<script" in path.read_text()]


def test_templates_load_what_translates_them() -> None:
    for path in TEMPLATES:
        text = path.read_text()
        assert ("{% trans" in text or "{% blocktrans" in text) == ("load i18n" in text), path


def test_every_word_of_a_template_can_be_translated() -> None:
    found = [(path.name, words) for path in TEMPLATES for words in unmarked(path.read_text())]
    assert found == []
    text = '<a title="Look here" class="x">{% trans "a" %} <b>{{ x|default:"none" }}</b> or</a>'
    assert list(unmarked(text)) == ["Look here", "none", "or"]


def unmarked(template: str) -> Iterator[str]:
    """What a template shows in letters that is not marked for translation."""
    text = re.sub(r"{% blocktrans.*?{% endblocktrans %}|{%.*?%}", " ", template, flags=re.DOTALL)
    for attribute in re.findall(r'\b(?:title|alt|placeholder|aria-label)="([^"]*)"', text):
        yield from _LETTERS.findall(re.sub(r"{{.*?}}", " ", attribute))
    for value in re.findall(r"{{.*?}}", text):
        yield from (each for each in re.findall(r'default\w*:"([^"]*)"', value)
                    if _LETTERS.search(each))
    yield from (each.strip() for each in _LETTERS.findall(re.sub(r"{{.*?}}|<[^>]*>", " ", text)))


def test_templates_have_no_percent_signs_to_translate() -> None:
    """Django doubles them where it looks a sentence up, and the catalogue does not have it then."""
    for path in TEMPLATES:
        for sentence in re.findall(r'{% trans "([^"]*)"|{% blocktrans[^%]*%}(.*?){% endblocktrans',
                                   path.read_text(), re.DOTALL):
            assert "%" not in re.sub("{% plural %}", "", "".join(sentence)), path


def test_every_sentence_of_the_code_can_be_translated() -> None:
    found = {(path.name, text) for path in SOURCES for text in untranslated(path.read_text())}
    assert {text for _, text in found} == NO_SENTENCES
    code = '''
"""What it is."""
name, verbose_name = "x", "Look"
label = _("one two") + tables.Column(verbose_name="Server") + f"three {x} four five"
'''
    assert sorted(untranslated(code)) == [" four five", "Look", "Server"]


def untranslated(code: str) -> Iterator[str]:
    """Literals of several words, and titles, that are not marked for translation."""
    tree = ast.parse(code)
    skipped = {id(each) for node in ast.walk(tree) for each in _skipped(node)}
    titles = {id(each) for node in ast.walk(tree) for each in _titles(node)}
    for node in ast.walk(tree):
        if id(node) in skipped or not isinstance(node, ast.Constant):
            continue
        if isinstance(node.value, str) and (id(node) in titles or _SEVERAL.search(
                re.sub("<[^>]*>", "", node.value))):
            yield node.value


def _skipped(node: ast.AST) -> Iterator[ast.AST]:
    """What needs no mark: docstrings, and what has one."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
            isinstance(node.body[0], ast.Expr)):
        yield node.body[0].value
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MARKS:
        yield from ast.walk(node)


def _titles(node: ast.AST) -> Iterator[ast.AST]:
    """The values of names that Horizon shows."""
    if isinstance(node, ast.keyword) and node.arg in TITLES:
        yield node.value
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=True)
            else:
                pairs = zip([target], [node.value], strict=True)
            yield from (value for name, value in pairs if getattr(name, "id", "") in TITLES)
