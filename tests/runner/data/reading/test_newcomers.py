"""Files that newcomers had, which were once read as another graph without a word."""

import numpy as np
import pytest

from runner.data.edges import edge_file
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=1.0, test_negatives=1.0)
LINKS = [(u, v) for u in range(30) for v in range(u) if (u * v + u) % 3 == 0]


@pytest.fixture
def read(tmp_path):
    def read(text, nodes=None, encoding="utf-8", **keys):
        (tmp_path / "graph.csv").write_text(text, encoding=encoding)
        if nodes is not None:
            (tmp_path / "nodes.csv").write_text(nodes)
            keys["nodes"] = str(tmp_path / "nodes.csv")
        return edge_file(path=str(tmp_path / "graph.csv"), features=None, split=SPLIT, **keys)

    return read


def rows(form="{u},{v}"):
    return "\n".join(form.format(u=u, v=v, n=n) for n, (u, v) in enumerate(LINKS))


def test_a_label_tells_that_rows_are_no_links(read):
    text = "source,target,label\n" + "\n".join(f"{u},{v},{u % 2}" for u, v in LINKS)
    with pytest.raises(RunnerError, match=r"label has 0 and 1.*dataset\.columns\.weight=label"):
        read(text)
    assert read(text, columns={"weight": "label"}).facts["links"] == len(LINKS)
    same = "source,target,label\n" + "\n".join(f"{u},{v},1" for u, v in LINKS)
    assert read(same).facts["links"] == len(LINKS)


def test_an_index_of_shuffled_rows(read):
    places = np.random.default_rng(0).permutation(len(LINKS))
    text = "\n".join(f"{n},{LINKS[n][0]},{LINKS[n][1]}" for n in places)
    with pytest.raises(RunnerError, match="may number the rows: are the ends the second and third"):
        read(text)
    assert read(text, columns={"source": 1, "target": 2}).facts["links"] == len(LINKS)
    tree = "\n".join(f"{n},{n // 3},{0.5 + n}" for n in places if n)
    assert read(tree).facts["links"] == len(places) - 1


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (rows('{{"source": {u}, "target": {v}}}'), "JSON"),
        ("[\n" + rows("[{u}, {v}],") + "\n]", "JSON"),
        (rows("({u}, {v})"), "Python's tuples"),
        ("graph G {{\n" + rows("{u} -- {v};") + "\n}}", "Graphviz's DOT"),
        ("<table class='x'>\n" + rows("<td>{u}</td>,{v}"), "XML or HTML"),
    ],
)
def test_other_formats_are_named(read, text, kind):
    with pytest.raises(RunnerError, match=f"it is {kind}, which is not read"):
        read(text)


def test_names_that_begin_like_another_format_are_names(read):
    assert read(rows("[deleted] {u},<unknown {v}>")).facts["links"] == len(LINKS)


def test_a_link_behind_a_line_without_its_end_is_named(read):
    with pytest.raises(RunnerError, match=r"line \d+\) has 3 fields, most rows have 2; mend"):
        read(rows("x{u},x{v}") + "x3,x4\n" + rows("x{u},x{v}"))


def test_the_same_column_twice(read):
    with pytest.raises(RunnerError, match=r"dataset\.columns\.target=a: it is the column of the s"):
        read("a,b\n" + rows(), columns={"source": "a", "target": "a"})


def test_s_and_t_are_ends_and_t_no_time(read):
    data = read("s,t\n" + rows())
    assert data.facts["columns"] == {"source": "s", "target": "t"}


def test_named_columns_may_hold_numbers_with_fractions(read):
    text = "a,b\n" + rows("{u}.5,{v}.25")
    with pytest.raises(RunnerError, match="is no node id"):
        read(text)
    assert read(text, columns={"source": "a", "target": "b"}).facts["links"] == len(LINKS)


@pytest.mark.parametrize(
    ("form", "pair"),
    [("x{u},X{v}", "'x1' and 'X1'|'X1' and 'x1'"), ("00{u},{v}", "'001' and '1'|'1' and '001'")],
)
def test_one_name_in_two_writings_is_told(read, form, pair):
    notes = " ".join(read(rows(form)).notes)
    assert "names differ from others in their writing alone, as" in notes
    assert not any("in their writing alone" in note for note in read(rows("x{u},x{v}")).notes)


def test_latin_1_is_told(read):
    data = read(rows("é{u},é{v}"), encoding="latin-1")
    assert any("read as Latin-1" in note for note in data.notes)


def test_ends_that_are_apart_are_told(read):
    told = "if these are two kinds of nodes, say dataset.bipartite=true"
    assert any(told in note for note in read("user,item\n" + rows("u{u},i{v}")).notes)
    for text, keys in (
        ("user,item\n" + rows("u{u},i{v}"), {"bipartite": False}),
        (rows("u{u},u{v}"), {}),
    ):
        assert not any(told in note for note in read(text, **keys).notes)


def test_ids_of_nodes_in_a_column_that_says_it_not(read):
    order = np.random.default_rng(0).permutation(30)
    table = "age,customer\n" + "\n".join(f"{20 + n % 5},{n}" for n in order)
    with pytest.raises(RunnerError, match="column customer has the ids of all nodes"):
        read(rows(), nodes=table)
    plain = "age\n" + "\n".join(str(20 + n % 5) for n in range(30))
    assert any("the rows are those of nodes 0 to 29" in n for n in read(rows(), nodes=plain).notes)


@pytest.mark.parametrize(
    ("header", "form", "last"),
    [
        ("source,target", "n{u},n{v}", "TOTAL,TOTAL"),
        ("source,target", "{u},{v}", "Total,Total"),
        ("source,target,weight", "n{u},n{v},2", "sum,Sum,99"),
        ("source,target,weight", "{u},{v},2", "Grand total,7,99"),
    ],
)
def test_a_last_row_of_sums(read, header, form, last):
    words = rf"row {len(LINKS) + 1} \(line {len(LINKS) + 2}\), the last one, has .* Remove the row"
    with pytest.raises(RunnerError, match=words):
        read("\n".join([header, rows(form), last]))


@pytest.mark.parametrize("last", ["Total,n3", "Total,Total\nn3,n4", "Total,Total\nTotal,n3"])
def test_a_node_whose_name_is_that_of_a_sum(read, last):
    assert "Total" in read("\n".join(["source,target", rows("n{u},n{v}"), last])).names


@pytest.mark.parametrize("header", ["", "source,target,weight\n"])
def test_whole_numbers_as_numpy_writes_them(read, header):
    text = header + rows("{u:.18e},{v:.18e},1.5e+00")
    data = read(text)
    assert data.graph_fingerprint == read(header + rows("{u},{v},1.5")).graph_fingerprint
    assert data.names is None and "ids in exponent form" in " ".join(data.notes)
    assert read(header + rows("{u:.18e},{v},1")).names is None


def test_numbers_in_exponent_form_that_are_no_ids(read):
    for odd in ("1.5e+00", "1.0e-01", "1.0e+17", "nan"):
        with pytest.raises(RunnerError, match=r"is no node id|often means no value"):
            read(rows("{u:.3e} {v:.3e}") + f"\n{odd} 2.000e+00")


def test_names_that_are_numbers_with_an_exponent(read):
    assert "7e2" in read("source,target\n" + rows("{u}e2,{v}e2")).names
