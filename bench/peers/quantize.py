#!/usr/bin/env python3
"""quantize.py MODEL.onnx OUT.onnx: ONNX Runtime's own int8 form of a model (DynamicQuantizeLSTM), by its own tool.

To be run in the environment that ./setup makes.  Weights are signed 8-bit, one scale a tensor: the tool's default.
"""
import logging
import os
import sys

from onnxruntime.quantization import QuantType, quantize_dynamic

logging.disable(logging.WARNING)        # it advises to preprocess, which these models do not need
source, out = sys.argv[1:]
quantize_dynamic(source, out + ".part", weight_type=QuantType.QInt8)
os.rename(out + ".part", out)
