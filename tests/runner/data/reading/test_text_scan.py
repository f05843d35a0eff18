import random
import re

import pytest

from runner.data.reading import text_scan
from runner.data.reading.text_scan import comment_lines, has_leading_zeros


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(text_scan, "_BLOCK", 7)
    monkeypatch.setattr(text_scan, "_SMALL_BLOCK", 5)


def texts(alphabet: str, count: int = 3000):
    draw = random.Random(0)
    for _ in range(count):
        yield "".join(draw.choices(alphabet, k=draw.randrange(40))).encode()


def test_comments_are_those_a_regular_expression_finds():
    some = 0
    for text in texts("#%/ \tab,1\n\n"):
        expected = [
            (match.start(), match.end())
            for match in re.finditer(rb"(?m)^[ \t]*(?:#|%|//).*(?:\n|\Z)", text)
        ]
        assert comment_lines(text) == expected, text
        some += bool(expected)
    assert some > 500


def test_leading_zeros_are_those_a_regular_expression_finds():
    some = 0
    for text in texts('00012345.:-/TeE,\n "'):
        expected = re.search(rb"(?m)(?:^|[^\d.:\-+/TeE])0\d", text) is not None
        assert has_leading_zeros(text) == expected, text
        some += not expected
    assert some > 500
