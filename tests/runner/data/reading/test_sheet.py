import random
from pathlib import Path

from runner.data.reading.sheet import Sheet, count_rows


def test_rows_are_the_lines_that_are_not_blank():
    draw = random.Random(0)
    for _ in range(3000):
        text = "".join(draw.choices("a1, \t\n\n", k=draw.randrange(1, 25))).encode()
        expected = sum(1 for line in text.split(b"\n") if line.strip())
        assert count_rows(Sheet(Path("x"), text)) == expected, text
