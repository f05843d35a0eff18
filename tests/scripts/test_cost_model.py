from __future__ import annotations

import pytest
from cost_model import (
    BEYOND,
    FITTED,
    MODELS,
    Fit,
    Sizes,
    memory_of,
    memory_terms,
    report,
    time_of,
    time_terms,
)

PER_LINK, MISSED, FIXED, PER_BYTE = 3e-8, 2e-8, 0.1, 12.0


def sizes(scale, density, batch, hidden, layers):
    nodes, entries = round(200_000 * scale), round(1_600_000 * scale * density)
    mean = entries / nodes
    return Sizes(nodes, entries, 128, hidden, layers, batch, mean, 3 * mean)


def seconds(s):
    return FIXED + (PER_LINK + MISSED * s.missed) * s.entries * s.hidden * s.layers


def test_a_fit_finds_the_terms_that_rows_are_made_of():
    rows = [(sizes(*key), seconds(sizes(*key))) for key in FITTED]
    fit = Fit(lambda s: time_terms("ncnc", s), rows)
    for key in BEYOND:
        assert fit(sizes(*key)) == pytest.approx(seconds(sizes(*key)), rel=0.02)
    assert fit.coefficients["messages, links x width x layers"] == pytest.approx(PER_LINK, rel=0.02)
    assert fit.coefficients["messages from memory"] == pytest.approx(MISSED, rel=0.02)
    assert sum(fit.parts(sizes(*BEYOND[0])).values()) == fit(sizes(*BEYOND[0]))


def test_of_a_round_the_shortest_step_in_u_and_of_rounds_the_median():
    rounds = [
        {"step": [9.0, 4.0], "unit": 1.0, "step_gib": 1.0},
        {"step": [10.0, 12.0], "unit": 2.0, "step_gib": 3.0},
        {"step": [99.0], "unit": 1.0, "step_gib": 2.0},
    ]
    assert time_of({"rounds": rounds}) == 5.0
    assert memory_of({"rounds": rounds}) == 3.0


def test_what_the_cache_holds():
    """Of 2^17 rows of 64 numbers, 32 MiB; of twice as many half."""
    held, twice = (Sizes(2**n, 1, 1, 64, 1, 1, 1.0, 1.0).missed for n in (17, 18))
    assert (held, twice) == (0.0, 0.5)


def test_the_report_compares_what_was_not_fitted():
    rows = []
    for model in MODELS:
        for key in FITTED + BEYOND:
            s = sizes(*key)
            wrong = 2 if key == BEYOND[0] else 1
            graph = {
                name: getattr(s, name)
                for name in (
                    "nodes", "entries", "features", "degree_at_random", "degree_at_a_link",
                )
            }  # fmt: skip
            gib = sum(memory_terms(model, s).values()) * PER_BYTE / 2**30
            found = [{"step": [wrong * seconds(s)], "unit": 1.0, "step_gib": gib}]
            rows.append({"key": [model, *key], "graph": graph, "rounds": found})
    text = report(rows)
    assert text.count("| -50 ") == 2 and "10⁹ links" in text
