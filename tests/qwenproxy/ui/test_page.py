"""Checks of the status page that need no browser; `make e2e` opens it in one."""

import re
from pathlib import Path

import qwenproxy

PAGE = (Path(qwenproxy.__file__).parent / "ui" / "page.html").read_text(encoding="utf-8")
ENDPOINTS = {"stats", "health", "chats", "test"}


def test_it_needs_no_other_file_and_no_other_host() -> None:
    assert re.findall(r'\b(?:src|href)="([^"]*)"', PAGE) == ["data:,"]  # no icon is requested
    assert set(re.findall(r"https?://[\w./]+", PAGE)) == {"http://www.w3.org/2000/svg"}  # a namespace
    assert not re.findall(r"@import|url\(|\bimport\b", PAGE)


def test_what_it_asks_for_is_relative_to_where_it_is() -> None:
    assert set(re.findall(r"""\bask\(["`]([^"`?]*)""", PAGE)) == ENDPOINTS


def test_data_becomes_text_and_never_html() -> None:
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\b|new Function"
    assert not re.findall(ways, PAGE)
    assert not re.findall(r"\son\w+=", PAGE), "a handler in an attribute"
