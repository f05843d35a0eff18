from __future__ import annotations

import pytest
from cost_model import BEYOND, FITTED, MODELS, Fit, Sizes, memory_terms, report, time_terms

PER_LINK, FIXED, PER_BYTE = 3e-8, 0.1, 12.0


def sizes(scale, density, batch, hidden, layers):
    nodes, entries = round(200_000 * scale), round(1_600_000 * scale * density)
    mean = entries / nodes
    return Sizes(nodes, entries, 128, hidden, layers, batch, mean, 3 * mean)


def seconds(s):
    return FIXED + PER_LINK * s.entries * s.hidden * s.layers


def test_a_fit_finds_the_terms_that_rows_are_made_of():
    rows = [(sizes(*key), seconds(sizes(*key))) for key in FITTED]
    fit = Fit(lambda s: time_terms("ncnc", s), rows)
    for key in BEYOND:
        assert fit(sizes(*key)) == pytest.approx(seconds(sizes(*key)), rel=0.02)
    assert fit.coefficients["messages, links x width x layers"] == pytest.approx(PER_LINK, rel=0.02)
    assert sum(fit.parts(sizes(*BEYOND[0])).values()) == fit(sizes(*BEYOND[0]))


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
            u, slow = 0.5 * wrong * seconds(s), 3.0  # in every round another U
            found = [{"step": [1e6, u * slow], "unit": 0.5 * slow, "step_gib": gib - 1}]
            found += [{"step": [u], "unit": 0.5, "step_gib": gib}] * 2
            rows.append({"key": [model, *key], "graph": graph, "rounds": found})
    text = report(rows)
    assert text.count("| -50 ") == 2 and "10⁹ links" in text
