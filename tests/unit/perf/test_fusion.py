"""What runs as one kernel, per runtime."""

from __future__ import annotations

import pytest

from fitwright.perf.fusion import FUSIONS
from fitwright.perf.kernels import kernels, work_of
from fitwright.perf.work import Work
from fitwright.records.model import Product
from fitwright.testing.summaries import ACTIVATION, matmul, operator, summary


def kinds(operators, runtime) -> list[str]:
    return ["+".join(k.kinds) for k in kernels(summary(operators), runtime)]


CONV = Product(m=64, n=16, k=72, kernel=(3, 3))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "tensorrt"])
def test_an_activation_behind_a_convolution_moves_nothing(runtime) -> None:
    weights = 4 * 16 * 72
    conv = operator("Conv", product=CONV, flops=2, bytes_read=ACTIVATION + weights)
    operators = [conv, operator("Relu", 0)]
    (kernel,) = kernels(summary(operators), runtime)
    assert kernel.kinds == ("Conv", "Relu")
    assert kernel.activation_bytes == 2 * ACTIVATION  # what comes in and what goes out
    assert kernel.operator_class == "conv"


def test_an_eager_runtime_merges_nothing_but_a_bias() -> None:
    bias = operator("Add", 0, bytes_read=ACTIVATION + 1024, weight_bytes=1024)
    assert kinds([matmul(), bias, operator("Relu", 1)], "eager") == ["MatMul+Add", "Relu"]


def test_a_residual_joins_the_later_of_two_products() -> None:
    operators = [matmul(), matmul(0), operator("Add", 0, 1)]
    assert kinds(operators, "openvino") == ["MatMul", "MatMul+Add"]
    assert kinds(operators, "onnxruntime") == ["MatMul", "MatMul", "Add"]


def test_what_two_kernels_read_is_written() -> None:
    operators = [matmul(), operator("Relu", 0), matmul(1), matmul(1)]
    assert kinds(operators, "openvino") == ["MatMul+Relu", "MatMul", "MatMul"]
    two_readers = [matmul(), operator("Relu", 0), matmul(0)]
    assert kinds(two_readers, "openvino") == ["MatMul", "Relu", "MatMul"]


def test_a_gelu_written_out_is_one_kernel_for_compilers() -> None:
    gelu = [
        matmul(),
        operator("Div", 0),
        operator("Erf", 1),
        operator("Add", 2),
        operator("Mul", 0, 3),
        operator("Mul", 4),
    ]
    assert kinds(gelu, "openvino") == ["MatMul+Div+Erf+Add+Mul+Mul"]
    assert kinds(gelu, "compiled") == ["MatMul", "Div+Erf+Add+Mul+Mul"]


def attention(*, guarded: bool) -> list:
    scores = Product(m=ROWS_, n=ROWS_, k=32, num_products=8, has_weights=False)
    values = Product(m=ROWS_, n=32, k=ROWS_, num_products=8, has_weights=False)
    chain = [
        matmul(), matmul(), matmul(),
        matmul(0, 1, product=scores, weight_bytes=0),
        operator("Mul", 3),
        operator("Softmax", 4),
    ]  # fmt: skip
    last = 5
    if guarded:
        chain += [operator("IsNaN", 5), operator("Where", 6, 5)]
        last = 7
    return [*chain, matmul(last, 2, product=values, weight_bytes=0)]


ROWS_ = 64


@pytest.mark.parametrize("runtime", [r for r, f in FUSIONS.items() if f.attention])
def test_attention_written_out_is_one_kernel_where_the_runtime_sees_it(runtime) -> None:
    *_, last = kernels(summary(attention(guarded=False)), runtime)
    assert last.kinds == ("MatMul", "Mul", "Softmax", "MatMul")
    assert last.operator_class == "attention_prefill"
    assert last.product is not None and last.product.k == 32  # that of the scores
    *_, guarded = kernels(summary(attention(guarded=True)), runtime)
    assert guarded.operator_class == "gemm"


def test_views_and_shapes_cost_nothing() -> None:
    operators = [
        matmul(),
        operator("Reshape", 0, is_view=True, bytes_read=0, bytes_written=0),
        operator("Shape", 0, dtype="int64"),
        operator("Gather", 2, dtype="int64"),
        operator("Relu", 1),
    ]
    assert kinds(operators, "onnxruntime") == ["MatMul+Relu"]


def quantised() -> list:
    pair = [operator("QuantizeLinear", activation_bytes=ACTIVATION // 4, dtype="uint8")]
    pair += [operator("DequantizeLinear", 0)]
    weights = operator("DequantizeLinear", reads_inputs=False, activation_bytes=4 * 256 * 256)
    product = Product(m=64, n=256, k=256, has_weights=False)
    behind = [
        operator(
            "QuantizeLinear", 3, activation_bytes=ACTIVATION // 4, bytes_written=ACTIVATION // 4
        ),
        operator("DequantizeLinear", 4),
        operator("Softmax", 5),
    ]
    return [*pair, weights, matmul(1, 2, product=product, weight_bytes=0), *behind]


def test_a_product_between_quantisation_pairs_is_one_of_integers() -> None:
    _, product, *_ = kernels(summary(quantised()), "onnxruntime")
    assert product.kinds == ("MatMul", "QuantizeLinear")
    assert product.dtype == "int8"
    assert product.weight_bytes == 256 * 256
    assert product.activation_bytes == ACTIVATION // 2  # a byte each, in and out


def test_what_was_quantised_is_widened_for_a_reader_without_an_integer_kernel() -> None:
    read_by_softmax = kinds(quantised(), "onnxruntime")
    assert read_by_softmax[2:] == ["DequantizeLinear", "Softmax"]
    assert kinds(quantised(), "openvino")[2:] == ["Softmax"]


def test_a_sum_between_quantisation_pairs_is_one_kernel_and_a_view_none() -> None:
    chain = [
        *quantised()[:2],
        operator("Reshape", 1, is_view=True, bytes_read=0, bytes_written=0),
        operator("QuantizeLinear", 2),
        operator("DequantizeLinear", 3),
        operator("Add", 4, 4),
        operator("QuantizeLinear", 5),
        operator("DequantizeLinear", 6),
        operator("Softmax", 7),
    ]
    assert kinds(chain, "onnxruntime") == [
        "QuantizeLinear", "Add+QuantizeLinear", "DequantizeLinear", "Softmax"
    ]  # fmt: skip


def test_a_transposed_convolution_of_onnx_runtime_stays_in_floats() -> None:
    chain = quantised()
    chain[3] = chain[3].model_copy(update={"kind": "ConvTranspose"})
    for runtime, dtype in (("onnxruntime", "float32"), ("openvino", "int8")):
        (product,) = [k for k in kernels(summary(chain), runtime) if k.product]
        assert product.dtype == dtype


def test_eager_runtimes_run_quantisation_as_written() -> None:
    found = kernels(summary(quantised()), "eager")
    assert all(k.dtype != "int8" for k in found if k.product)


def test_narrow_arithmetic_moves_narrow_bytes() -> None:
    (kernel,) = kernels(summary([matmul()]), "openvino")
    wide = work_of(kernel, dtype="float32", beside="float32", batch=1, model_bytes=0)
    half = work_of(kernel, dtype="bfloat16", beside="bfloat16", batch=1, model_bytes=0)
    assert half.bytes_moved == wide.bytes_moved / 2
    assert half.dtype == "bfloat16"


def test_a_batch_reads_the_weights_once() -> None:
    (kernel,) = kernels(summary([matmul()]), "openvino")
    one = work_of(kernel, dtype="float32", beside="float32", batch=1, model_bytes=0)
    eight = work_of(kernel, dtype="float32", beside="float32", batch=8, model_bytes=0)
    assert (eight.m, eight.flops) == (8 * one.m, 8 * one.flops)
    assert eight.bytes_moved - one.bytes_moved == 7 * kernel.activation_bytes


@pytest.mark.parametrize("runtime", list(FUSIONS))
def test_two_norms_are_two_kernels(runtime) -> None:
    operators = [operator("LayerNormalization"), operator("Softmax", 0)]
    assert kinds(operators, runtime) == ["LayerNormalization", "Softmax"]


DEPTHWISE = Product(m=64, n=1, k=9, num_products=16, kernel=(3, 3))


@pytest.mark.parametrize(
    ("runtime", "kind", "product", "used"),
    [
        ("openvino", "LSTM", Product(m=1, n=64, k=64, num_steps=8), "bfloat16"),
        ("tensorrt", "LSTM", Product(m=1, n=64, k=64, num_steps=8), "bfloat16"),
        ("openvino", "Conv", DEPTHWISE, "bfloat16"),
        ("tensorrt", "Conv", DEPTHWISE, "int8"),
        ("openvino", "Conv", CONV, "int8"),
    ],
)
def test_some_layers_stay_in_floats_when_a_model_is_quantised(runtime, kind, product, used) -> None:
    (kernel,) = kernels(summary([operator(kind, product=product, flops=8)]), runtime)
    floats = FUSIONS[runtime].floats

    def work(dtype: str, beside: str) -> Work:
        return work_of(kernel, dtype=dtype, beside=beside, batch=1, model_bytes=0, floats=floats)

    assert work("int8", "bfloat16").dtype == used
    assert work("float32", "float32").dtype == "float32"


def test_masks_and_indices_count_as_the_floats_beside_them() -> None:
    (kernel,) = kernels(summary([operator("And", dtype="bool")]), "openvino")
    assert (
        work_of(kernel, dtype="int8", beside="bfloat16", batch=1, model_bytes=0).dtype == "bfloat16"
    )
