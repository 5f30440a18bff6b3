"""Who predicts which domain of cases: one visible table."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.validate.case import Predictor
from fitwright.validate.domains import (
    eager_transformers,
    llm,
    llm_energy,
    llm_memory,
    llm_mlperf,
    llm_serving,
    networks,
    openvino,
)
from fitwright.validate.domains.collectives import predict_collective
from fitwright.validate.domains.edge import predict_edge
from fitwright.validate.domains.fpga import predict_fpga
from fitwright.validate.domains.mcu import predict_mcu
from fitwright.validate.domains.mlperf import predict_mlperf
from fitwright.validate.domains.npu import predict_npu
from fitwright.validate.domains.operators import (
    predict_decode,
    predict_gemm,
    predict_prefill,
)
from fitwright.validate.domains.other_operators import MOVERS, predict_conv, predict_moved
from fitwright.validate.domains.training import predict_training
from fitwright.validate.domains.training_memory import predict_memory

PREDICTORS: Mapping[str, Predictor] = {
    "op/gemm": predict_gemm,
    "op/gemv": predict_gemm,
    "op/grouped-gemm": predict_gemm,
    "op/batched-gemm": predict_gemm,
    "op/conv": predict_conv,
    "op/depthwise": predict_conv,
    **dict.fromkeys(MOVERS, predict_moved),
    "op/attention-prefill": predict_prefill,
    "op/attention-decode": predict_decode,
    "e2e/llm-decode": llm.predict_decode,
    "e2e/llm-decode-local": llm.predict_local_decode,
    "e2e/llm-prefill-local": llm.predict_local_prefill,
    "e2e/llm-serving-offline": llm.predict_serving_offline,
    "e2e/llm-offline": llm_mlperf.predict_mlperf_offline,
    "e2e/llm-tpot": llm_serving.predict_tpot,
    "e2e/llm-ttft": llm_serving.predict_ttft,
    "energy/llm": llm_energy.predict_energy,
    "memory/llm": llm_memory.predict_llm_memory,
    "memory/kv-cache": llm_memory.predict_llm_memory,
    "e2e/vision-gpu": networks.predict_inference,
    "e2e/vision-cpu": networks.predict_inference,
    "e2e/vision-train": networks.predict_training,
    "e2e/openvino": openvino.predict,
    "e2e/transformer-fp32": eager_transformers.predict_forward,
    "training/single-gpu-fp32": eager_transformers.predict_training,
    "op/collective": predict_collective,
    "training/megatron": predict_training,
    "training/fsdp": predict_training,
    "training/4gpu": predict_training,
    "training/maxtext": predict_training,
    "training/torchtitan": predict_training,
    "training/torchao": predict_training,
    "training/oneflow": predict_training,
    "memory/training": predict_memory,
    "e2e/mlperf": predict_mlperf,
    "energy/mlperf": predict_mlperf,
    "e2e/vision-edge-cpu": predict_edge,
    "energy/edge": predict_edge,
    "e2e/npu": predict_npu,
    "e2e/mcu-fpga": predict_mcu,
    "fpga/latency": predict_fpga,
    "fpga/area": predict_fpga,
}
