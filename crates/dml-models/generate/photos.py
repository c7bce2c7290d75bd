"""Pixels of photos and the features that torchvision's pretrained MobileNetV2 has for them.

    python generate/photos.py WEIGHTS.safetensors OUT.safetensors PHOTO ...

`DML_MODELS_PHOTOS=OUT.safetensors cargo test -p dml-models photos` compares.
"""

import sys

import torch
import torchvision.models as tv
from PIL import Image
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
weights, out, *photos = sys.argv[1:]
network = tv.mobilenet_v2()
network.load_state_dict(load_file(weights))
network.classifier = torch.nn.Identity()
transform = tv.MobileNet_V2_Weights.IMAGENET1K_V1.transforms(antialias=True)
images = torch.stack([transform(Image.open(photo).convert("RGB")) for photo in photos])
with torch.no_grad():
    features = network.eval()(images)
save_file({"images": images.contiguous(), "features": features.contiguous()}, out)
