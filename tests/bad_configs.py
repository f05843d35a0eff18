"""Strategies for hypothesis: command lines that are bad by themselves."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st
from tests.bad_input import FINISHED, QUICK, BadInput

CONF = Path(__file__).parents[1] / "conf"
# Keys of conf/ by what they take.
_INTEGERS = (
    "train.epochs", "train.eval_batch_size", "encoder.hidden", "encoder.layers", "seed",
    "seeds.split", "seeds.dropout", "train.keep_checkpoints", "protocol.split.seed",
)  # fmt: skip
_OPTIONAL_INTEGERS = ("train.batch_size", "train.checkpoint_steps", "hardware.threads")
_EVERY_INTEGER = _INTEGERS + _OPTIONAL_INTEGERS
_MAY_BE_ZERO = ("train.epochs", "encoder.layers", "seed", "seeds.split", "seeds.dropout",
                "protocol.split.seed")  # fmt: skip
_RATES = (
    "model.dropout", "model.edge_dropout", "encoder.hidden_dropout", "encoder.input_dropout",
    "encoder.output_dropout", "encoder.edge_dropout",
)  # fmt: skip
_NUMBERS = (
    "train.lr_encoder", "train.lr_predictor", "train.checkpoint_minutes", "train.grace_seconds",
    "protocol.split.valid", "dataset.source.split.test",
    "protocol.split.valid_negatives", "dataset.source.split.test_negatives", "model.beta",
)  # fmt: skip
_TRUTHS = (
    "run.dry", "encoder.residual", "encoder.layer_norm", "encoder.jumping_knowledge",
    "model.last_linear", "model.node_transform", "hardware.deterministic", "hardware.profile",
    "protocol.official_split", "protocol.validation_edges_in_test_graph",
)  # fmt: skip
_WORDS = ("hyperparameters", "hardware.device", "train.not_finite", "train.init_mode")
_KEYS = (*_INTEGERS, *_OPTIONAL_INTEGERS, *_RATES, *_NUMBERS, *_TRUTHS, *_WORDS)
_PARTS = (
    "model", "encoder", "sampler", "evaluator", "tracker", "dataset.source", "negatives",
    "protocol.split", "encoder.convolution",
)  # fmt: skip
_GROUPS = {
    group: {path.stem for path in (CONF / group).glob("*.yaml")}
    for group in (
        "dataset", "encoder", "evaluator", "hardware", "model", "sampler", "tracker", "train",
    )
}  # fmt: skip
_WORD = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)


def _set(kind: str, key: str, value: str, *names: str) -> BadInput:
    named = names or (key, key.rpartition(".")[2])
    return BadInput(kind, (*QUICK, f"{key}={value}"), named)


_NO_NUMBER = st.sampled_from(
    ("ten", "true", "[1]", "[]", "{a: 1}", "''", "'1'", "", "1e", "1,", "0x1f", "--1", "1 2", "1;2")
)
_NO_INTEGER = _NO_NUMBER | st.sampled_from(("1.5", "1.0", "1e3", "nan", "inf", "-inf"))
_NOT_FINITE = st.sampled_from(("nan", "inf", "-inf"))


def _wrong_types() -> st.SearchStrategy[BadInput]:
    kind = "wrong type"
    return st.one_of(
        st.builds(_set, st.just(kind), st.sampled_from(_EVERY_INTEGER), _NO_INTEGER),
        st.builds(_set, st.just(kind), st.sampled_from(_RATES + _NUMBERS), _NO_NUMBER),
        st.builds(
            _set, st.just(kind), st.sampled_from(_TRUTHS),
            st.sampled_from(("1", "0", "maybe", "'true'", "[true]", "{}", "2.0", "")),
        ),
        st.builds(
            _set, st.just(kind), st.sampled_from(_WORDS),
            _WORD.map(lambda word: f"no_{word}") | st.sampled_from(("3", "[a]", "true", "")),
        ),
    )  # fmt: skip


def _out_of_range() -> st.SearchStrategy[BadInput]:
    kind = "out of range"
    positive = [key for key in _EVERY_INTEGER if key not in _MAY_BE_ZERO]
    negative = st.integers(max_value=-1).map(str)
    too_large = st.integers(min_value=2**63, max_value=10**400).map(str)
    bounded = [key for key in _EVERY_INTEGER if key != "train.epochs"]
    over = st.floats(min_value=1, allow_nan=False, allow_infinity=False).map(repr)
    under = st.floats(max_value=-1e-9, allow_nan=False, allow_infinity=False).map(repr)
    never_negative = [key for key in _NUMBERS if key != "model.beta"]
    return st.one_of(
        st.builds(_set, st.just(kind), st.sampled_from(_EVERY_INTEGER), negative),
        st.builds(_set, st.just(kind), st.sampled_from(bounded), too_large),
        st.builds(_set, st.just(kind), st.sampled_from(positive), st.just("0")),
        st.builds(_set, st.just(kind), st.sampled_from(_RATES), over | under | _NOT_FINITE),
        st.builds(_set, st.just(kind), st.sampled_from(never_negative), under),
        st.builds(_set, st.just(kind), st.sampled_from(_NUMBERS), _NOT_FINITE),
    )


def _nulls() -> st.SearchStrategy[BadInput]:
    keys = (*_INTEGERS, *_RATES, *_NUMBERS, *_TRUTHS, *_WORDS)
    sections = ("seeds", "run", "dataset.protocol", "protocol.tuned", "protocol.published")
    others = (*_PARTS[5:], *sections, "run.cache", "run.model", "dataset.name")
    return st.sampled_from(keys + others).map(
        lambda key: _set("null", key, "null", key.rpartition(".")[2], key)
    )


@st.composite
def _unknown_keys(draw: st.DrawFn) -> BadInput:
    key = draw(st.sampled_from(_KEYS))
    place = draw(st.integers(0, len(key) - 1))
    change = draw(st.sampled_from(("drop", "double", "swap", "append", "invent")))
    if change == "drop":
        typed = key[:place] + key[place + 1 :]
    elif change == "double":
        typed = key[:place] + key[place] + key[place:]
    elif change == "swap":
        typed = key[:place] + key[place : place + 2][::-1] + key[place + 2 :]
    elif change == "append":
        typed = key + draw(st.sampled_from(("s", "x", ".x", "_", "1", ".a.b")))
    else:
        typed = f"{key.rpartition('.')[0]}.no_{draw(_WORD)}".lstrip(".")
    if typed in (*_KEYS, "seeds"):
        typed += "_x"
    sign = draw(st.sampled_from(("", "", "+", "++")))
    stem = typed.split(".")
    names = (typed, f"{sign}{typed}=1", *(".".join(stem[:n]) for n in range(1, len(stem))))
    return BadInput("unknown key", (*QUICK, f"{sign}{typed}=1"), names)


@st.composite
def _groups(draw: st.DrawFn) -> BadInput:
    group = draw(st.sampled_from(sorted(_GROUPS)))
    option = draw(
        _WORD.map(lambda word: f"no_{word}")
        | st.sampled_from(sorted(_GROUPS[group])).map(lambda name: f"{name}x")
        | st.sampled_from(
            ("3", "1.5", "null", "true", "[]", "[a, b]", "", "''", "../x", "/x", "a b")
        )
    )
    sign = draw(st.sampled_from(("", "", "", "+", "++")))
    return BadInput("no such option", (*QUICK, f"{sign}{group}={option}"), (group,))


def _syntax() -> st.SearchStrategy[BadInput]:
    kind = "syntax"
    key = st.sampled_from(_KEYS)
    opened = st.tuples(st.sampled_from("[{'\""), _WORD).map("".join)
    closed = st.tuples(_WORD, st.sampled_from("]}'\"")).map("".join)
    strange = st.text(
        st.characters(min_codepoint=0x80, exclude_categories=("Cs", "Nd")), min_size=1, max_size=20
    )
    nested = st.integers(1, 300).map(lambda depth: "[" * depth + "]" * depth)
    whole = st.one_of(
        _WORD,
        st.sampled_from(("", " ", "=", "==", "=1", ".", "..=1", "~", "+", "++", "a=b=c=", "{")),
        strange,
        st.tuples(strange, st.just("=1")).map("".join),
        st.text(max_size=30).filter(lambda text: not text.startswith(("-", "resume="))).map(
            lambda text: f"no.{text}"
        ),
    )  # fmt: skip
    return st.one_of(
        st.builds(_set, st.just(kind), key, opened | closed),
        st.builds(_set, st.just(kind), key, strange),
        st.builds(_set, st.just(kind), st.sampled_from(_INTEGERS), nested),
        st.builds(
            _set, st.just(kind), st.sampled_from(_INTEGERS[1:]),
            st.integers(400, 9000).map(lambda digits: "9" * digits),
        ),
        st.builds(
            _set, st.just(kind), st.sampled_from(_INTEGERS),
            st.integers(100, 20_000).map(lambda letters: "x" * letters),
        ),
        whole.map(lambda text: BadInput(kind, (*QUICK, text))),
    )  # fmt: skip


def _interpolations() -> st.SearchStrategy[BadInput]:
    value = st.sampled_from(
        (
            "${nope}", "${nope.x.y}", "${nope:1}", "${oc.env:NO_SUCH_VARIABLE}", "${tuned:x}",
            "${tuned:}", "${tuned:a,b,c}", "${hydra:nope}", "${....x}", "${seed", "${}", "${.}",
            "${model}", "${oc.decode:'['}", "${oc.select:nope}", "a${seed}", "${train}",
            "${oc.create:}", "${oc.dict.keys:nope}", "${${nope}}", "$\\{x}",
        )
    )  # fmt: skip
    circle = st.sampled_from(_INTEGERS).map(lambda key: _set("interpolation", key, f"${{{key}}}"))
    return (
        st.builds(_set, st.just("interpolation"), st.sampled_from(_INTEGERS + _RATES), value)
        | circle
    )


def _targets() -> st.SearchStrategy[BadInput]:
    kind = "target"
    part = st.sampled_from(_PARTS)
    target = st.sampled_from(
        (
            "nope", "models.nope", "runner.models.ncn.NNC", "runner.nope.X", "os", "models", "",
            "..",
            "null", "3", "[a]", "{a: 1}", "builtins.dict", "os.getcwd", "torch.nn.Linear",
            "runner.models.ncn", "json.JSONDecodeError", "runner.errors.RunnerError", "math.pi",
            "a b",
        )
    )  # fmt: skip
    special = st.sampled_from(
        ("_args_=[1]", "_partial_=true", "_recursive_=false", "_convert_=all", "_x_=1")
    )
    convolution = st.sampled_from(
        (
            "runner.models.convolution.Convolution",
            "runner.models.ncn.NCN",
            "nope",
            "null",
            "3",
            "models.nope.X",
        )
    )
    return st.one_of(
        st.tuples(part, target).map(
            lambda pair: _set(kind, f"{pair[0]}._target_", pair[1], pair[0])
        ),
        st.tuples(part, special).map(
            lambda pair: BadInput(kind, (*QUICK, f"+{pair[0]}.{pair[1]}"), (pair[0],))
        ),
        part.map(lambda name: BadInput(kind, (*QUICK, f"~{name}._target_"), (name,))),
        convolution.map(lambda path: _set(kind, "encoder.convolution.path", path)),
    )


def _contradictions() -> st.SearchStrategy[BadInput]:
    lines: tuple[tuple[tuple[str, ...], str], ...] = (
        (("model.hidden=3",), "model.hidden"),
        (("encoder=none",), "encoder"),
        (("protocol.select=hits@7",), "protocol.select"),
        (("protocol.metrics=[hits@100000]",), "protocol.metrics"),
        (("protocol.metrics=[mrr]", "protocol.select=hits@3"), "protocol.select"),
        (("+dataset.path=graph.csv",), "dataset.path"),
        (("+dataset.num_nodes=3",), "dataset.num_nodes"),
        (("protocol.split.valid=0.6", "dataset.source.split.test=0.6"), "split"),
        (("protocol.split.valid=0.001",), "split"),
        (("protocol.split.valid_negatives=5000",), "negatives"),
        (("train.batch_size=100000",), "train.batch_size"),
        (("train.init_from=nowhere",), "train.init_from"),
        (("train.init_from=.",), "train.init_from"),
        (("sweep=seeds",), "sweep"),
        (("seed=1,2",), "seed"),
        (("seed=range(3)",), "seed"),
        (("~model",), "model"),
        (("~tracker",), "tracker"),
        (("~seed",), "seed"),
        (("~dataset",), "dataset"),
        (("~seeds.split",), "split"),
        (("~train.epochs", "~train.epochs"), "train.epochs"),
        (("hydra.run.dir=file/x",), "file"),
        (("hydra.run.dir=file",), "file"),
        (("hydra.run.dir=full",), "full"),
        (("hydra.run.dir=",), "hydra.run.dir"),
        (("hydra.run.dir=null",), "hydra.run.dir"),
        (("hydra.run.dir='???'",), "hydra.run.dir"),
        (("hydra.run.dir=${nope}",), "hydra.run.dir"),
        ((f"hydra.run.dir={FINISHED}",), "already holds a run"),
        (("hydra.output_subdir=x",), "hydra.output_subdir"),
        (("hydra.job_logging.root.level=NOPE",), "hydra.job_logging"),
        (("run.model=../x",), "run.model"),
        (("run.cache=",), "run.cache"),
        (("train.lr_encoder=1e30", "train.lr_predictor=1e30"), "train.lr_encoder"),
        (("--nope",), "--nope"),
        (("-x",), "-x"),
        (("--cfg", "nope"), "--cfg"),
        (("--config-name=nope",), "nope"),
        (("--config-dir=nope",), "nope"),
    )  # fmt: skip
    files = (("file", b"in the way"), ("full/of", b"something"))
    return st.sampled_from(lines).map(
        lambda line: BadInput("contradiction", (*QUICK, *line[0]), (line[1],), files)
    )


def _sweeps() -> st.SearchStrategy[BadInput]:
    lines = (
        (("seed=-1,-2",), 2, "seed"),
        (("seed=range(0)",), 1, "no jobs"),
        (("train.epochs=a,b,c",), 3, "train.epochs"),
        (("model=nope,no",), 1, "nope"),
        (("sweep=nope",), 1, "sweep"),
        (("seed=range(a)",), 1, "seed"),
        (("hydra.sweep.dir=file",), 1, "file"),
        (("hydra.sweep.dir=",), 1, "hydra.sweep.dir"),
        (("hydra.sweep.subdir='???'",), 1, "hydra.sweep.subdir"),
        (("hydra.sweeper.retries=a",), 1, "hydra.sweeper.retries"),
        (("hydra.sweeper.paired=[[seed]]",), 1, "hydra.sweeper.paired"),
        (("search=nope",), 1, "search"),
        (("search=tpe",), 1, "search"),
        (("search=tpe", "seed=interval(3,1)"), 1, "seed"),
        (("search=tpe", "seed=0,1", "hydra.sweeper.search.trials=0"), 1, "trials"),
        (("seed=interval(0,1)",), 1, "seed"),
        (("resume=nowhere",), 1, "resume"),
        (("resume=file",), 1, "resume"),
    )
    files = (("file", b"in the way"),)
    return st.tuples(st.sampled_from(lines), st.sampled_from(("-m", "--multirun"))).map(
        lambda pair: BadInput(
            "sweep", (*QUICK, pair[1], *pair[0][0]), (pair[0][2],), files, jobs=pair[0][1]
        )
    )


def _resumes() -> st.SearchStrategy[BadInput]:
    folder = st.sampled_from(
        (
            "nowhere", "file", "empty", "full", "junk", ".", "", "/", "~nobody", "a\nb", "latest",
            "x" * 5000, "é", "file/x", "/dev/null", "[a]", "${nope}",
        )
    )  # fmt: skip
    files = (
        ("file", b"no folder"),
        ("empty", None),
        ("full/of", b"something"),
        ("junk/config.yaml", b"\x00\xff: ["),
        ("junk/checkpoints/last.pt", b"nonsense"),
    )
    override = st.sampled_from(
        (
            "train.epochs=0", "train.epochs=-1", "train.epochs=ten", "train.epochs=null",
            "train.epochs=1.5", "train.epochs=[2]", "train.epochs=2,3", "train.epochs=range(3)",
            "train.epochs", "train.epochs=", "train.epochs='", "train.epoch=3", "seed=1",
            "model=gae", "model.dropout=0.5", "encoder.hidden=16", "hardware=tpu", "hardware=3",
            "hardware=[cpu]", "hardware=null", "hardware.threads=0", "hardware.thread=1",
            "hardware.device=tpu", "tracker=mlflow", "tracker=", "tracker._target_=nope",
            "tracker.x=1", "train.checkpoint_minutes=0", "train.checkpoint_minutes=nan",
            "train.keep_checkpoints=0", "train.grace_seconds=inf", "dataset.path=x.csv",
            "dataset.root=/x", "run.cache=null", "run.cache=", "+train.epochs=3", "~train.epochs",
            "++train.epochs=5", "-m", "--cfg=job", "", "=", "é=1", "x" * 5000, "hydra.run.dir=x",
            "train.epochs=${nope}", "train.epochs=${seed}", "resume=other", "hardware={}",
            "hardware.device={a: 1}", "hardware.threads=99999999", "train.epochs=9" + "9" * 5000,
        )
    )  # fmt: skip
    alone = folder.map(lambda name: BadInput("resume", (f"resume={name}",), ("resume",), files))
    changed = override.map(
        lambda line: BadInput(
            "resume", (f"resume={FINISHED}", line),
            (line, line.partition("=")[0].lstrip("+~"), "resume", "override"), files,
        )
    )  # fmt: skip
    return alone | changed


@st.composite
def _pairs(draw: st.DrawFn) -> BadInput:
    """Two mistakes at once: one of them at least is named."""
    one = st.one_of(_wrong_types(), _out_of_range(), _nulls(), _unknown_keys(), _targets())
    first, second = draw(one), draw(one)
    more = second.arguments[len(QUICK) :]
    kept = [
        a for a in more if a.partition("=")[0] not in {b.partition("=")[0] for b in first.arguments}
    ]
    return BadInput("pair", (*first.arguments, *kept), first.names + second.names)


def bad_configs() -> st.SearchStrategy[BadInput]:
    """Command lines that are bad by themselves."""
    kinds = (
        _wrong_types(), _out_of_range(), _nulls(), _unknown_keys(), _groups(), _syntax(),
        _interpolations(), _targets(), _contradictions(), _sweeps(), _resumes(), _pairs(),
    )  # fmt: skip
    # Each kind as often as any other: one_of would take their parts apart.
    return st.sampled_from(kinds).flatmap(lambda kind: kind)
