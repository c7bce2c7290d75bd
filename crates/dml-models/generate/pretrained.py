"""Features of torchvision's pretrained MobileNetV2 on two images of the formula, in single precision.

    python generate/pretrained.py WEIGHTS.safetensors tests/golden/mobilenet_v2-imagenet1k.json
"""

import json
import sys

import torch
import torchvision.models as tv
from safetensors.torch import load_file

from formula import digest, draw, rounded

torch.set_num_threads(1)
weights, out = sys.argv[1:]
network = tv.mobilenet_v2()
network.load_state_dict(load_file(weights))
network.classifier = torch.nn.Identity()
images = draw("image", (2, 3, 224, 224), -2.0, 2.0).float()
with torch.no_grad():
    features = network.eval()(images)
case = {
    "features": digest("features", features),
    "rows": [[rounded(x) for x in row[:16]] for row in features],
}
with open(out, "w") as file:
    file.write(json.dumps(case).replace("], ", "],\n") + "\n")
