"""Checks an ONNX file, runs it on the inputs 0.input, 1.input, … of a safetensors file, and prints the largest difference to
0.output, 1.output, … with the largest magnitude among these, as JSON."""
import json
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

path, cases = sys.argv[1:]
onnx.checker.check_model(path, full_check=True)
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
(given,), (result,) = session.get_inputs(), session.get_outputs()
cases = load_file(cases)
difference, magnitude = 0.0, 0.0
for number in range(len(cases) // 2):
    (got,) = session.run(None, {given.name: cases[f"{number}.input"]})
    expected = cases[f"{number}.output"]
    assert got.shape == expected.shape, (got.shape, expected.shape)
    assert np.isfinite(got).all()
    difference = max(difference, float(np.abs(got - expected).max()))
    magnitude = max(magnitude, float(np.abs(expected).max()))
print(json.dumps({"difference": difference, "magnitude": magnitude, "shape": result.shape}))
