"""Pages hold all they need, and show text that is hostile without obeying it."""

import re

import pytest
from jinja2 import Environment, UndefinedError

from voltween.reports import data_uri
from voltween.reports.pages import _environment

HOSTILE = "<script>alert('x')</script>\"'&\u202e\x1b[31m\udcff{{ 7 * 7 }}"


def render_text(source, **values):
    """A page of a template that stands in the test."""
    return _environment().from_string(source).render(**values)


def test_hostile_text_is_shown_in_text_and_attributes():
    page = render_text('<p title="{{ name }}">{{ name }}</p>', name=HOSTILE)
    assert page.count("&lt;script&gt;alert(&#39;x&#39;)") == 2
    assert page.count("<") == 2
    assert "{{ 7 * 7 }}" in page


def test_characters_that_turn_or_break_text_are_shown_as_codes():
    page = render_text("{{ name }}", name=HOSTILE)
    assert r"\u202e" in page
    assert r"\x1b[31m" in page
    assert r"\udcff" in page
    page.encode("utf-8")


def test_hostile_text_cannot_end_a_script_with_data():
    page = render_text("<script>{{ name | tojson }}</script>", name="</script><b>")
    assert page.count("</script>") == 1


def test_a_missing_value_is_an_error():
    with pytest.raises(UndefinedError, match="name"):
        render_text("{{ name }}")


def test_a_page_forbids_every_request_and_holds_its_style():
    page = render_text("{% extends 'base.html' %}")
    policy = re.search('Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'")
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"(src|href)=", page)


def test_a_picture_is_its_own_address():
    assert data_uri(b"\x00\xff", "image/webp") == "data:image/webp;base64,AP8="


@pytest.fixture(name="kept")
def kept_fixture(monkeypatch, tmp_path):
    """The folder of compiled templates, of this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _environment.cache_clear()
    yield tmp_path / "voltween" / "templates"
    _environment.cache_clear()


def compiled(monkeypatch):
    """The templates that are compiled from here on, by name."""
    names = []
    compile_text = Environment.compile

    def compile_and_tell(self, source, name=None, *rest, **more):
        names.append(name)
        return compile_text(self, source, name, *rest, **more)

    monkeypatch.setattr(Environment, "compile", compile_and_tell)
    return names


def test_templates_are_compiled_once_for_all_processes(kept, monkeypatch):
    names = compiled(monkeypatch)
    _environment().get_template("base.html")
    _environment.cache_clear()  # as another process begins
    again = _environment().get_template("base.html")
    assert names == ["base.html"]
    assert again.render().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("content", [b"", b"no template", b"\x00" * 100])
def test_a_damaged_template_is_compiled_again(kept, monkeypatch, content):
    _environment().get_template("base.html")
    (file,) = kept.iterdir()
    file.write_bytes(content)
    _environment.cache_clear()
    names = compiled(monkeypatch)
    _environment().get_template("base.html")
    assert names == ["base.html"]


def test_templates_are_compiled_where_nothing_can_be_kept(kept, monkeypatch):
    kept.parent.parent.joinpath("voltween").write_text("a file where the folder was")
    assert _environment().get_template("base.html").render()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", no_home)
    _environment.cache_clear()
    assert _environment().get_template("base.html").render()


def no_home():
    raise RuntimeError("Could not determine home directory.")
