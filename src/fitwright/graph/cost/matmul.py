"""Matrix products: MatMul, Gemm, Einsum, their integer and fused forms. 1 MAC = 2 FLOP."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product as pairs

from fitwright.graph.cost.operator import Cost, Key, Missing, Operator, Rule
from fitwright.graph.dtypes import num_elements
from fitwright.records.model import Product


def product_flops(op: Operator, left: int) -> int:
    """2 x output elements x length of the contracted (last) dimension of the left input."""
    return 2 * op.out_size() * op.dims(left)[-1]


def product(op: Operator, left: int, right: int) -> Product:
    """A and B as numpy multiplies them; a B of two dimensions meets all rows of A at once."""
    a, b = op.dims(left), op.dims(right)
    columns = b[-1] if len(b) > 1 else 1
    rows = a[-2] if len(a) > 1 else 1
    return _of_size(
        op, inner=a[-1], columns=columns, rows=None if len(b) <= 2 else rows, right=right
    )


def _of_size(
    op: Operator, *, inner: int, columns: int, rows: int | None = None, right: int = 1
) -> Product:
    """From what is summed over and one product's columns; rows: None for a single product."""
    all_rows = op.out_size() // max(columns, 1)
    rows = all_rows if rows is None else rows
    return Product(
        m=rows,
        n=columns,
        k=inner,
        num_products=all_rows // max(rows, 1),
        has_weights=op.input(right).constant,
    )


def matmul(op: Operator) -> Cost:
    """C = A B, batched and broadcast as numpy does."""
    return Cost(flops=product_flops(op, 0), product=product(op, 0, 1))


def matmul_integer(op: Operator) -> Cost:
    """Integer product; subtracting given zero points is 1 FLOP per element of A and B."""
    shift = sum(op.size(i) for i in (0, 1) if op.has(i + 2))
    return Cost(flops=product_flops(op, 0), elementwise_flops=shift, product=product(op, 0, 1))


def qlinear_matmul(op: Operator) -> Cost:
    """Integer product, then scale, round and clip: 4 FLOP per output element."""
    return Cost(
        flops=product_flops(op, 0),
        elementwise_flops=4 * op.out_size(),
        product=product(op, 0, 3),
    )


def integer_to_float(op: Operator) -> Cost:
    """Integer product, scaled to float, plus a bias when given."""
    bias = op.has(6)
    return Cost(
        flops=product_flops(op, 0),
        elementwise_flops=(2 + bias) * op.out_size(),
        product=product(op, 0, 1),
    )


def dynamic_matmul(op: Operator) -> Cost:
    """Quantise A on the fly (5 FLOP per element), integer product, scale, bias."""
    quantize = 5 * op.size(0)
    return Cost(
        flops=product_flops(op, 0),
        elementwise_flops=quantize + (2 + op.has(4)) * op.out_size(),
        product=product(op, 0, 1),
        dtype="int8",
    )


def matmul_nbits(op: Operator) -> Cost:
    """Float times block-quantised weights: the product, and 2 FLOP to widen each weight."""
    k, n = op.number("K"), op.number("N")
    return Cost(
        flops=2 * op.out_size() * k,
        elementwise_flops=2 * k * n,
        product=_of_size(op, inner=k, columns=n),
    )


def fused_matmul(op: Operator) -> Cost:
    """FusedMatMul: alpha x A B with optional transposes."""
    dims = op.dims(0)
    batch_turned = op.number("transBatchA", 0) == 1
    rows = dims[0] if batch_turned else dims[-2]
    inner = rows if op.number("transA", 0) else dims[-1]
    scaled = op.out_size() if float(op.attributes.get("alpha", 1.0)) != 1.0 else 0
    out, single = op.out_dims(), len(op.dims(1)) == 2
    return Cost(
        flops=2 * op.out_size() * inner,
        elementwise_flops=scaled,
        product=_of_size(op, inner=inner, columns=out[-1], rows=None if single else out[-2]),
    )


def gemm(op: Operator) -> Cost:
    """Y = alpha A' B' + beta C."""
    a = op.dims(0)
    inner = a[0] if op.number("transA", 0) else a[1]
    per = int(op.has(2))
    per += float(op.attributes.get("alpha", 1.0)) != 1.0
    per += op.has(2) and float(op.attributes.get("beta", 1.0)) != 1.0
    per += op.kind in ("FusedGemm", "GemmFastGelu")
    return Cost(
        flops=2 * op.out_size() * inner,
        elementwise_flops=per * op.out_size(),
        product=_of_size(op, inner=inner, columns=op.out_dims()[1]),
    )


def qgemm(op: Operator) -> Cost:
    """Integer Gemm, then scale, round and clip."""
    a = op.dims(0)
    inner = a[0] if op.number("transA", 0) else a[1]
    return Cost(
        flops=2 * op.out_size() * inner,
        elementwise_flops=4 * op.out_size(),
        product=_of_size(op, inner=inner, columns=op.out_dims()[1], right=3),
    )


def einsum(op: Operator) -> Cost:
    """Contracted pairwise from left to right, as runtimes do.

    A pair that sums over an index is matmul-like: 2 FLOP per point of its index space. One
    that does not is a product: 1 elementwise FLOP per point.
    """
    terms, result, sizes = _einsum_terms(op)
    current = set(terms[0])
    flops = elementwise = 0
    if len(terms) == 1:
        elementwise = num_elements([sizes[i] for i in current]) if current - set(result) else 0
    for at, term in enumerate(terms[1:], start=1):
        needed = set(result).union(*terms[at + 1 :])
        every = current | set(term)
        points = num_elements([sizes[i] for i in every])
        current = every & needed
        if every - needed:
            flops += 2 * points
        else:
            elementwise += points
    two = _pair_product(op, terms, result, sizes) if len(terms) == 2 and flops else None
    return Cost(flops=flops, elementwise_flops=elementwise, product=two)


def _pair_product(
    op: Operator, terms: list[list[str]], result: list[str], sizes: Mapping[str, int]
) -> Product:
    """Of two operands: indices that both and the result have are independent products."""
    left, right, kept = set(terms[0]), set(terms[1]), set(result)

    def points(letters: set[str]) -> int:
        return num_elements([sizes[i] for i in letters])

    return Product(
        m=points((left - right) & kept),
        n=points((right - left) & kept),
        k=points((left | right) - kept),
        num_products=points(left & right & kept),
        has_weights=op.input(1).constant,
    )


def _einsum_terms(op: Operator) -> tuple[list[list[str]], list[str], dict[str, int]]:
    """Index letters per operand and of the result, and the size of each letter."""
    equation = op.text("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms: list[list[str]] = []
    sizes: dict[str, int] = {}
    for position, text in enumerate(left.split(",")):
        shape = op.dims(position)
        ellipsis = len(shape) - len(text.replace("...", ""))
        if ellipsis < 0 or ("..." not in text and ellipsis):
            raise Missing("the equation does not fit the inputs")
        letters = _letters(text, ellipsis)
        for letter, size in zip(letters, shape, strict=True):
            sizes[letter] = max(sizes.get(letter, 1), size)
        terms.append(letters)
    most = max((int(i[1:]) + 1 for t in terms for i in t if i[0] == "."), default=0)
    if arrow:
        return terms, _letters(right, most if "..." in right else 0), sizes
    every = [i for t in terms for i in t]
    return terms, [i for i in sizes if i[0] == "." or every.count(i) == 1], sizes


def _letters(text: str, ellipsis: int) -> list[str]:
    """``...ij`` with two broadcast dimensions: ``.1 .0 i j`` (counted from the right)."""
    before, dots, after = text.partition("...")
    middle = [f".{i}" for i in reversed(range(ellipsis))] if dots else []
    return [*before, *middle, *after]


def det(op: Operator) -> Cost:
    """By LU: 2/3 n^3 per matrix."""
    *batch, n, _ = op.dims(0)
    return Cost(flops=num_elements(batch) * (2 * n**3) // 3)


def inverse(op: Operator) -> Cost:
    """By LU and substitution: 2 n^3 per matrix."""
    *batch, n, _ = op.dims(0)
    return Cost(flops=num_elements(batch) * 2 * n**3)


RULES: Mapping[Key, Rule] = {
    ("", "MatMul"): matmul,
    ("", "Gemm"): gemm,
    ("", "Einsum"): einsum,
    ("", "MatMulInteger"): matmul_integer,
    ("", "QLinearMatMul"): qlinear_matmul,
    ("", "Det"): det,
    ("com.microsoft", "Inverse"): inverse,
    ("com.microsoft", "MatMulInteger16"): matmul,
    ("com.microsoft", "MatMulIntegerToFloat"): integer_to_float,
    ("com.microsoft", "DynamicQuantizeMatMul"): dynamic_matmul,
    **dict.fromkeys(
        pairs(("com.microsoft",), ("MatMulNBits", "MatMulBnb4", "MatMulFpQ4")), matmul_nbits
    ),
    **dict.fromkeys(pairs(("com.microsoft",), ("FusedMatMul", "TransposeMatMul")), fused_matmul),
    **dict.fromkeys(pairs(("com.microsoft",), ("FusedGemm", "GemmFastGelu")), gemm),
    ("com.microsoft", "QGemm"): qgemm,
}
