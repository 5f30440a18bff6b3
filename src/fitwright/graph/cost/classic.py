"""Classic machine learning (ai.onnx.ml): linear models, kernels, scaling. Trees per row."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost.elementwise import per_element
from fitwright.graph.cost.movement import move
from fitwright.graph.cost.operator import Cost, Key, Operator, Rule


def linear(op: Operator) -> Cost:
    """Rows times coefficients: 2 FLOP per coefficient and row."""
    rows = op.size(0) // max(op.dims(0)[-1], 1)
    return Cost(flops=2 * rows * len(op.attributes["coefficients"]))


def support_vectors(op: Operator) -> Cost:
    """The kernel between each row and each support vector, then their weights."""
    features = op.dims(0)[-1]
    rows = op.size(0) // max(features, 1)
    vectors = len(op.attributes.get("support_vectors", ())) or len(op.attributes["coefficients"])
    return Cost(flops=2 * rows * vectors, elementwise_flops=rows * (vectors // max(features, 1)))


def trees(op: Operator) -> Cost:
    """Each row walks each tree: at most its depth; counted as log2 of the mean tree size."""
    ids = op.attributes.get("nodes_treeids")
    num_nodes = len(ids if ids is not None else op.attributes["nodes_featureids"])
    num_trees = len(set(ids)) if ids is not None else len(op.attributes["tree_roots"])
    rows = op.size(0) // max(op.dims(0)[-1], 1)
    depth = max(1, (num_nodes // max(num_trees, 1)).bit_length())
    return Cost(elementwise_flops=rows * num_trees * (depth + 1))


RULES: Mapping[Key, Rule] = {
    ("ai.onnx.ml", "LinearClassifier"): linear,
    ("ai.onnx.ml", "LinearRegressor"): linear,
    ("ai.onnx.ml", "SVMClassifier"): support_vectors,
    ("ai.onnx.ml", "SVMRegressor"): support_vectors,
    **{
        ("ai.onnx.ml", kind): trees
        for kind in ("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor")
    },
    ("ai.onnx.ml", "Scaler"): per_element(2),
    ("ai.onnx.ml", "Normalizer"): per_element(3),
    ("ai.onnx.ml", "Imputer"): per_element(1),
    ("ai.onnx.ml", "Binarizer"): per_element(1),
    **{
        ("ai.onnx.ml", kind): move
        for kind in (
            "ArrayFeatureExtractor",
            "CastMap",
            "CategoryMapper",
            "DictVectorizer",
            "FeatureVectorizer",
            "LabelEncoder",
            "OneHotEncoder",
            "ZipMap",
        )
    },
}
