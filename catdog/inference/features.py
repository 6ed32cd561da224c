"""What a trained model sees in a photo, and whether it is unlike all that it was trained on.

Features are what its last layer turns into probabilities: the input of the final dense layer of
its LiteRT model, which gives them as a second output at no cost. A photo is as strange as it is
far from the most similar training photo, by the cosine of their features (Sun et al.,
"Out-of-distribution detection with deep nearest neighbors", ICML 2022). What it finds is
in `benchmarks/README.md`.
"""

import numpy as np
import numpy.typing as npt

from catdog.inference.litert import Floats

WIDEST = 4096
"""Numbers of a photo. Wider features, of a model that flattens large maps, are added up to so many
with signs drawn by lot, which keeps their cosines (feature hashing, Weinberger et al., ICML 2009).
"""
TINY = 1e-9


def with_features(flatbuffer: bytes) -> bytes:
    """The same LiteRT model with its features as a second output.

    Raises ValueError when it does not end in a dense layer with softmax.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    (graph,) = model.subgraphs
    maker = {int(each): operator for operator in graph.operators for each in operator.outputs}
    kinds = schema.BuiltinOperator
    seen = int(graph.outputs[0])
    for kind in (kinds.SOFTMAX, kinds.FULLY_CONNECTED):
        operator = maker.get(seen)
        if operator is None or model.operatorCodes[operator.opcodeIndex].builtinCode != kind:
            raise ValueError("it does not end in a dense layer with softmax")
        seen = int(operator.inputs[0])
    graph.outputs = np.array([*graph.outputs, seen], dtype=np.int32)
    model.signatureDefs = None
    builder = flatbuffers.Builder(len(flatbuffer))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def narrowed(features: Floats) -> Floats:
    """Features (n, width) of length 1, added up where they are too many."""
    flat = features.reshape(len(features), -1)
    if flat.shape[1] > WIDEST:
        signs = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), flat.shape[1])
        padded = np.zeros((len(flat), -flat.shape[1] % WIDEST), np.float32)
        flat = np.concatenate([flat * signs, padded], axis=1).reshape(len(flat), -1, WIDEST).sum(1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(lengths, TINY), np.float32)


def distance(features: Floats, known: Floats) -> float:
    """1 less the cosine to the most similar training photo: 0 for a copy, 1 for no likeness.

    features: (width) of length 1. known: those of the training photos (n, width).
    """
    return 1 - float((known @ features).max())


def strange_from(distances: npt.NDArray[np.float64], false_flags: float) -> float:
    """The distance from which on a photo is strange, by those of photos that are not.

    At most this share of such photos is then flagged, on average over the photos that set it
    (split conformal prediction, Vovk et al., 2005). Infinite where there are too few to tell.
    """
    rank = int(np.ceil((len(distances) + 1) * (1 - false_flags)))
    return float(np.sort(distances)[rank - 1]) if rank <= len(distances) else float("inf")
