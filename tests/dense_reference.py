"""The models once more, in NumPy over dense adjacency matrices and plain loops, to test against.

Nothing here is shared with the code under test: every function reads the formula's symbols from
arrays. ``state`` is a module's state dict as float64 arrays, see :func:`arrays`. Dropout is off.
"""

from __future__ import annotations

import numpy as np
from torch import nn

Array = np.ndarray
State = dict[str, Array]
Lists = list[list[int]]


def arrays(module: nn.Module) -> State:
    """The parameters by name, in float64."""
    return {name: value.detach().double().numpy() for name, value in module.named_parameters()}


def adjacency(edges: Array, num_nodes: int) -> Array:
    """(N, N) 0/1 of the simple symmetric graph."""
    a = np.zeros((num_nodes, num_nodes))
    for u, v in edges.T:
        if u != v:
            a[u, v] = a[v, u] = 1
    return a


def neighbours(a: Array, u: int) -> list[int]:
    return [w for w in range(len(a)) if a[u, w]]


def overlap(a: Array, u: int, v: int) -> tuple[list[int], list[int], list[int]]:
    """Common neighbours, those of u alone, those of v alone; ascending."""
    of_u, of_v = neighbours(a, u), neighbours(a, v)
    return (
        [w for w in of_u if w in of_v],
        [w for w in of_u if w not in of_v],
        [w for w in of_v if w not in of_u],
    )


def linear(state: State, name: str, x: Array) -> Array:
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)


def layer_norm(state: State, name: str, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def f_cn(state: State, x: Array, name: str = "f_cn") -> Array:
    x = relu(linear(state, f"{name}.0", x))
    x = relu(layer_norm(state, f"{name}.4", linear(state, f"{name}.3", x)))
    return linear(state, f"{name}.7", x) if f"{name}.7.weight" in state else x


def f_pair(state: State, x: Array) -> Array:
    x = relu(layer_norm(state, "f_pair.1", linear(state, "f_pair.0", x)))
    return linear(state, "f_pair.4", x) if "f_pair.4.weight" in state else x


def head(state: State, x: Array) -> float:
    x = relu(layer_norm(state, "head.1", linear(state, "head.0", x)))
    last = "head.4"
    if "head.8.weight" in state:
        x = relu(layer_norm(state, "head.5", linear(state, "head.4", x)))
        last = "head.8"
    return float(linear(state, last, x)[0])


def transform(state: State, h: Array) -> Array:
    return h + f_cn(state, h, "g") if "g.0.weight" in state else h


def gae(state: State, h: Array, pairs: Array) -> Array:
    return np.array([head(state, f_pair(state, h[u] * h[v])) for u, v in pairs.T])


def gae_cn(state: State, h: Array, a: Array, pairs: Array) -> Array:
    logits = []
    for u, v in pairs.T:
        count = np.array([float(len(overlap(a, u, v)[0]))])
        logits.append(head(state, state["beta"] * f_cn(state, count) + f_pair(state, h[u] * h[v])))
    return np.array(logits)


def ncn(state: State, h: Array, a: Array, pairs: Array) -> Array:
    x = transform(state, h)
    logits = []
    for u, v in pairs.T:
        pooled = sum((x[w] for w in overlap(a, u, v)[0]), np.zeros(h.shape[1]))
        logits.append(head(state, state["beta"] * f_cn(state, pooled) + f_pair(state, h[u] * h[v])))
    return np.array(logits)


def ncn_with_second(state: State, h: Array, pairs: Array, first: Lists, second: Lists) -> Array:
    """head(β f_cn(Σ_first x) + f_pair(h_u ⊙ h_v) + f_second(Σ_second x)), lists a pair each.

    With a ``pool`` in the state, a monoid over the nodes in ascending order in the place of Σ.
    """
    x, zero = transform(state, h), np.zeros(h.shape[1])
    empty = state.get("pool.identity", zero)
    logits = []
    for (u, v), common, other in zip(pairs.T, first, second, strict=True):
        pooled, more = (
            lcm(state, "pool", [x[w] for w in sorted(nodes)], empty)
            if "pool.cell.weight_ih" in state
            else sum((x[w] for w in nodes), zero)
            for nodes in (common, other)
        )
        joint = state["beta"] * f_cn(state, pooled) + f_pair(state, h[u] * h[v])
        logits.append(head(state, joint + f_cn(state, more, "f_second")))
    return np.array(logits)


def gru(state: State, name: str, x: Array, h: Array) -> Array:
    """One step of Cho et al. (2014) as PyTorch has it, of input x and state h."""
    gates = (state[f"{name}.weight_{i}h"] for i in "ih")
    of_x, of_h = (
        np.split(weight @ row + state[f"{name}.bias_{i}h"], 3)
        for weight, row, i in zip(gates, (x, h), "ih", strict=True)
    )
    reset, update = (1 / (1 + np.exp(-(of_x[k] + of_h[k]))) for k in range(2))
    return (1 - update) * np.tanh(of_x[2] + reset * of_h[2]) + update * h


def lcm(state: State, name: str, rows: list[Array], empty: Array) -> Array:
    """The rows in a balanced tree: pairs in turn, an odd last one at the end of the next level."""
    if not rows:
        return empty
    while len(rows) > 1:
        pairs = [rows[i : i + 2] for i in range(0, len(rows), 2)]
        cell = f"{name}.cell"
        rows = [
            (gru(state, cell, *pair) + gru(state, cell, *pair[::-1])) / 2
            if len(pair) == 2
            else pair[0]
            for pair in pairs
        ]
    return rows[0]


def ncn_diff(state: State, h: Array, a: Array, pairs: Array) -> Array:
    lists = [overlap(a, u, v) for u, v in pairs.T]
    common, different = [part[0] for part in lists], [part[1] + part[2] for part in lists]
    return ncn_with_second(state, h, pairs, common, different)


def ncn2(state: State, h: Array, a: Array, pairs: Array) -> Array:
    square = a @ a
    common = [overlap(a, u, v)[0] for u, v in pairs.T]
    two_hop = [
        [w for w in neighbours(a, u) if square[v, w]]
        + [w for w in neighbours(a, v) if square[u, w]]
        for u, v in pairs.T
    ]
    return ncn_with_second(state, h, pairs, common, two_hop)


def probability(logit: float, *, t: float, s: float, o: float, alpha: float) -> float:
    p0 = 1 / (1 + np.exp(-s * (logit - o)))
    return alpha * t * p0 / (t * p0 + 1 - p0)


def ncnc_weights(
    state: State, x: Array, a: Array, u: int, v: int, constants: dict[str, float], depth: int = 1
) -> tuple[dict[int, float], dict[int, float]]:
    """P(v, w) of every w of u alone, and P(u, w) of every w of v alone, from the embedding x."""
    _, only_u, only_v = overlap(a, u, v)
    sides = []
    for other, nodes in ((v, only_u), (u, only_v)):
        inner = np.array([[other] * len(nodes), nodes], dtype=np.int64)
        logits = ncnc(state, x, a, inner, constants, depth - 1)
        sides.append({w: probability(z, **constants) for w, z in zip(nodes, logits, strict=True)})
    return sides[0], sides[1]


def ncnc(
    state: State, h: Array, a: Array, pairs: Array, constants: dict[str, float], depth: int = 1
) -> Array:
    if depth == 0:
        return ncn(state, h, a, pairs)
    x = transform(state, h)
    logits = []
    for u, v in pairs.T:
        weights_u, weights_v = ncnc_weights(state, x, a, u, v, constants, depth)
        pooled = sum((x[w] for w in overlap(a, u, v)[0]), np.zeros(h.shape[1]))
        for weights in (weights_u, weights_v):
            pooled = pooled + sum((p * x[w] for w, p in weights.items()), np.zeros(h.shape[1]))
        logits.append(head(state, state["beta"] * f_cn(state, pooled) + f_pair(state, h[u] * h[v])))
    return np.array(logits)


def normalised_sum(x: Array, a: Array) -> Array:
    """D^-1/2 (A + I) D^-1/2 x with D = 1 + the row sums of A."""
    scale = np.diag(1 / np.sqrt(1 + a.sum(1)))
    return scale @ (a + np.eye(len(a))) @ scale @ x


def neighbour_mean(x: Array, a: Array) -> Array:
    total = a.sum(1, keepdims=True)
    return np.divide(a @ x, total, out=np.zeros_like(x), where=total > 0)


def neighbour_max(x: Array, a: Array) -> Array:
    rows = [
        x[neighbours(a, u)].max(0) if a[u].any() else np.zeros(x.shape[1]) for u in range(len(a))
    ]
    return np.array(rows)


def convolve(kind: str, state: State, name: str, x: Array, a: Array) -> Array:
    """One convolution, named as the class of ``models.convolution``; ``a`` may be weighted."""
    if kind == "PureGCN":
        return normalised_sum(x, a)
    if kind == "PureSum":
        return a @ x
    if kind == "PureMean":
        return neighbour_mean(x, a)
    if kind == "PureMax":
        return neighbour_max(x, a)
    if kind == "GCN":
        return normalised_sum(linear(state, f"{name}.linear", x), a) + state[f"{name}.bias"]
    if kind == "SumLinear":
        return linear(state, f"{name}.linear", a @ x) + state[f"{name}.bias"]
    if kind == "MeanLinear":
        return linear(state, f"{name}.linear", neighbour_mean(x, a)) + state[f"{name}.bias"]
    if kind == "NoLoopGCN":
        scale = np.diag(1 / np.sqrt(1 + a.sum(1)))
        return relu(linear(state, f"{name}.linear", scale @ a @ scale @ x))
    if kind == "SAGE":
        mean = linear(state, f"{name}.layer.lin_l", neighbour_mean(x, a))
        return mean + linear(state, f"{name}.layer.lin_r", x)
    if kind == "GIN":
        summed = (1 + state[f"{name}.layer.eps"]) * x + a @ x
        return linear(
            state, f"{name}.layer.nn.2", relu(linear(state, f"{name}.layer.nn.0", summed))
        )
    raise ValueError(kind)


def plain_gnn(state: State, x: Array, a: Array, *, layers: int) -> Array:
    """The GNN of the HeaRT release: GCN with a ReLU after each but the last."""
    a_hat = a + np.eye(len(a))
    scale = 1 / np.sqrt(a_hat.sum(1))
    for layer in range(layers):
        x = scale[:, None] * (a_hat @ (scale[:, None] * x))
        x = linear(state, f"convolutions.{layer}.linear", x) + state[f"convolutions.{layer}.bias"]
        x = relu(x) if layer < layers - 1 else x
    return x


def hadamard_mlp(state: State, h: Array, pairs: Array) -> Array:
    """Linears, a ReLU after each but the last, on the product of both embeddings, pair by pair."""
    names = sorted({name.rpartition(".")[0] for name in state}, key=lambda name: int(name[4:]))
    found = []
    for u, v in pairs.T:
        z = h[u] * h[v]
        for name in names[:-1]:
            z = relu(linear(state, name, z))
        found.append(float(linear(state, names[-1], z)[0]))
    return np.array(found)


def pagerank(a: Array, *, alpha: float) -> Array:
    """(N, N): row u is where a walk is that restarts at u; a node without a link keeps it."""
    degree = a.sum(1, keepdims=True)
    step = np.divide(a, degree, where=degree > 0, out=np.eye(len(a)))
    return alpha * np.linalg.inv(np.eye(len(a)) - (1 - alpha) * step)


def softmax(x: Array) -> Array:
    shares = np.exp(x - x.max())
    return shares / shares.sum()


def norm_mlp(state: State, name: str, x: Array) -> Array:
    x = relu(layer_norm(state, f"{name}.1", linear(state, f"{name}.0", x)))
    return linear(state, f"{name}.4", x)


def lpformer(
    state: State, h: Array, a: Array, pairs: Array, thresholds: list[float], *, heads: int
) -> Array:
    """Of a score of two Linears; a threshold for each class."""
    p = pagerank(a, alpha=0.15)
    logits = []
    for u, v in pairs.T:
        common, only_u, only_v = overlap(a, u, v)
        one_sided = only_u + only_v
        beyond = [w for w in range(len(a)) if w not in common + one_sided and p[u, w] * p[v, w] > 0]
        classes = [
            [w for w in nodes if p[u, w] >= least and p[v, w] >= least]
            for nodes, least in zip((common, one_sided, beyond), thresholds, strict=False)
        ]
        rows = []
        for number, nodes in enumerate(classes):
            for w in nodes:
                there, back = np.array([p[u, w], p[v, w]]), np.array([p[v, w], p[u, w]])
                name = f"places.{number}"
                place = norm_mlp(state, name, there) + norm_mlp(state, name, back)
                rows.append(linear(state, "right", np.concatenate([h[w], place])))
        o = state["bias"].reshape(heads, -1).copy()
        ends = (linear(state, "left", h[u]) + linear(state, "left", h[v])).reshape(heads, -1)
        for head in range(heads if rows else 0):
            y = np.array([row.reshape(heads, -1)[head] for row in rows])
            joint = y * ends[head]
            score = np.where(joint > 0, joint, 0.2 * joint) @ state["attention"][0, head]
            o[head] += softmax(score) @ y
        counts = [float(len(nodes)) for nodes in classes]
        counts += [counts[0] + counts[1]] if len(counts) > 1 else []
        around = np.concatenate([layer_norm(state, "norm", o.flatten()), counts])
        x = np.concatenate(
            [norm_mlp(state, "f_pair", h[u] * h[v]), norm_mlp(state, "f_around", around)]
        )
        logits.append(float(linear(state, "score.3", relu(linear(state, "score.0", x)))[0]))
    return np.array(logits)


def scalar_mlp(state: State, name: str, x: float) -> float:
    hidden = relu(linear(state, f"{name}.0", np.array([x])))
    return float(linear(state, f"{name}.2", hidden)[0])


def neo_gnn(
    state: State, h: Array, a: Array, pairs: Array, *, beta: float
) -> tuple[Array, Array, Array]:
    """Probabilities: the score's, the structural part's, the product's."""
    b = a + beta * a @ a
    nodes = range(len(a))
    weight = [
        scalar_mlp(
            state, "f_node", sum(scalar_mlp(state, "f_edge", b[i, j]) for i in nodes if b[i, j])
        )
        for j in nodes
    ]
    product = hadamard_mlp(
        {k.removeprefix("product."): v for k, v in state.items() if k.startswith("product.")},
        h, pairs,
    )  # fmt: skip
    structural = np.array([
        scalar_mlp(state, "g", sum(b[u, w] * weight[w] * b[v, w] * weight[w] for w in nodes))
        for u, v in pairs.T
    ])  # fmt: skip
    parts = [1 / (1 + np.exp(-logit)) for logit in (structural, product)]
    share = softmax(state["alpha"])
    return share[0] * parts[0] + share[1] * parts[1], *parts


def encoder(
    kind: str, state: State, features: Array, a: Array, *, layers: int, residual: bool
) -> Array:
    """The whole encoder; categories where ``features`` are integers."""
    pure = kind.startswith("Pure")
    if features.dtype.kind == "i":
        x = state["input.0.weight"][features]
    elif pure or layers == 0:
        x = linear(state, "input.1", features)
    else:
        x = features
    outputs = []
    for layer in range(layers):
        out = convolve(kind, state, f"convolutions.{layer}", x, a)
        if not pure and (layers == 1 or layer < layers - 1):
            norm = f"activations.{layer}.0"
            out = relu(layer_norm(state, norm, out) if f"{norm}.weight" in state else out)
        x = out + x if residual and out.shape == x.shape else out
        outputs.append(x)
    if "layer_weights" not in state:
        return x
    return sum(weight * out for weight, out in zip(state["layer_weights"], outputs, strict=True))


NUM_NODES = 30
HUB, ISOLATED = 0, NUM_NODES - 1


def random_edges(seed: int) -> Array:
    """(2, M) edges over NUM_NODES nodes: a hub, an isolated node, duplicates and self-loops."""
    rng = np.random.default_rng(seed)
    sparse = rng.integers(1, NUM_NODES - 1, (2, 45))
    hub = np.stack([np.full(15, HUB), rng.choice(np.arange(1, NUM_NODES - 1), 15, replace=False)])
    edges = np.concatenate([sparse, hub, sparse[::-1, :5], sparse[:, :5], [[3, 4], [3, 4]]], axis=1)
    return edges[:, rng.permutation(edges.shape[1])]


def some_pairs(edges: Array) -> Array:
    """(2, B) pairs: every edge, strangers, and the corners (hub, isolated node, u = v, repeats)."""
    strangers = np.random.default_rng(0).integers(0, NUM_NODES, (2, 40))
    corners = [
        [HUB, HUB, ISOLATED, ISOLATED, 5, 5, 5],
        [ISOLATED, HUB, HUB, ISOLATED, 5, 7, 7],
    ]
    return np.concatenate([edges, strangers, corners], axis=1)


def distances(a: Array, source: int, without: int) -> Array:
    """Steps from a node past another; inf for none."""
    found = np.full(len(a), np.inf)
    found[source], level = 0, [source]
    while level:
        near = {w for u in level for w in neighbours(a, u) if w != without and found[w] == np.inf}
        for w in near:
            found[w] = found[level[0]] + 1
        level = sorted(near)
    return found


def seal_subgraph(a: Array, u: int, v: int, hops: int) -> tuple[list[int], Array, list[int]]:
    """Nodes, ascending, the adjacency among them without the link of the pair, and labels."""
    near = np.minimum(distances(a, u, -1), distances(a, v, -1))
    nodes = np.flatnonzero(near <= hops).tolist()
    inside = a[np.ix_(nodes, nodes)].copy()
    s, t = nodes.index(u), nodes.index(v)
    inside[s, t] = inside[t, s] = 0
    labels = []
    for i, (x, y) in enumerate(zip(distances(inside, s, t), distances(inside, t, s), strict=True)):
        if i in (s, t):
            labels.append(1)
        elif x == np.inf or y == np.inf:
            labels.append(0)
        else:
            d = int(x + y)
            labels.append(1 + int(min(x, y)) + (d // 2) * (d // 2 + d % 2 - 1))
    return nodes, inside, labels


def seal(state: State, h: Array, a: Array, pairs: Array, *, k: int, hops: int) -> Array:
    logits = []
    layers = len([name for name in state if name.startswith("convolutions")]) // 2
    for u, v in pairs.T:
        nodes, inside, labels = seal_subgraph(a, u, v, hops)
        scale = (1 + inside.sum(1)) ** -0.5
        step = scale[:, None] * (inside + np.eye(len(nodes))) * scale
        x = state["label.weight"][labels] + (h[nodes] if h.shape[1] else 0)
        outputs = []
        for layer in range(layers):
            name = f"convolutions.{layer}"
            x = np.tanh(step @ x @ state[f"{name}.linear.weight"].T + state[f"{name}.bias"])
            outputs.append(x)
        x = np.concatenate(outputs, axis=1)
        x = x[np.argsort(-x[:, -1], kind="stable")][:k]
        x = np.concatenate([x, np.zeros((k - len(x), x.shape[1]))])
        x = relu(x @ state["each_node.weight"][:, 0].T + state["each_node.bias"])  # (k, 16)
        x = np.stack([x[i : i + 2].max(0) for i in range(0, k - k % 2, 2)])
        weight = state["along_nodes.weight"]  # (32, 16, 5)
        window = weight.shape[2]
        x = np.stack([
            np.einsum("tc,oct->o", x[i : i + window], weight) + state["along_nodes.bias"]
            for i in range(len(x) - window + 1)
        ])  # fmt: skip
        x = relu(linear(state, "head.0", relu(x).T.flatten()))
        logits.append(float(linear(state, "head.3", x)[0]))
    return np.array(logits)
