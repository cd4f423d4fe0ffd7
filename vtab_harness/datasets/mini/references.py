"""How the from-scratch scores of the suite came about."""

from __future__ import annotations

FROM_SCRATCH = (
    "A small ResNet (timm's test_resnet, 0.37 M parameters) trained on the 1000 examples alone, one seed, on a CPU:"
    " vtab run -b 'timm:test_resnet?pretrained=false&input_size=64' --suite mini -p finetune"
    " --set steps=200 --set batch_size=64 --seeds 1"
)
