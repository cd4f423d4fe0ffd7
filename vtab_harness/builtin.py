"""What the harness brings itself, by kind: name -> ``module:attribute``, imported on use."""

from __future__ import annotations

_MINI = "vtab_harness.tasks.mini"
_VTAB = "vtab_harness.tasks.vtab_1k"
_PROTOCOLS = "vtab_harness.protocols"

NAMES: dict[str, dict[str, str]] = {
    "backbones": {
        "timm": "vtab_harness.backbones.timm_source:TIMM",
        "local-dir": "vtab_harness.backbones.timm_source:LOCAL_DIR",
        "hf-hub": "vtab_harness.backbones.timm_source:HF_HUB",
        "python": "vtab_harness.backbones.python_source:PYTHON",
    },
    "tasks": {
        "caltech101": f"{_VTAB}.caltech101:TASK",
        "cifar100": f"{_VTAB}.cifar100:TASK",
        "dtd": f"{_VTAB}.dtd:TASK",
        "oxford_flowers102": f"{_VTAB}.oxford_flowers102:TASK",
        "oxford_iiit_pet": f"{_VTAB}.oxford_iiit_pet:TASK",
        "svhn": f"{_VTAB}.svhn:TASK",
        "sun397": f"{_VTAB}.sun397:TASK",
        "patch_camelyon": f"{_VTAB}.patch_camelyon:TASK",
        "eurosat": f"{_VTAB}.eurosat:TASK",
        "resisc45": f"{_VTAB}.resisc45:TASK",
        "diabetic_retinopathy": f"{_VTAB}.diabetic_retinopathy_detection:TASK",
        "clevr_count": f"{_VTAB}.clevr:COUNT",
        "clevr_distance": f"{_VTAB}.clevr:DISTANCE",
        "dmlab": f"{_VTAB}.dmlab:TASK",
        "kitti_distance": f"{_VTAB}.kitti:TASK",
        "dsprites_location": f"{_VTAB}.dsprites:LOCATION",
        "dsprites_orientation": f"{_VTAB}.dsprites:ORIENTATION",
        "smallnorb_azimuth": f"{_VTAB}.smallnorb:AZIMUTH",
        "smallnorb_elevation": f"{_VTAB}.smallnorb:ELEVATION",
        "mini_digits": f"{_MINI}.digits:TASK",
        "mini_textures": f"{_MINI}.textures:TASK",
        "mini_tissue": f"{_MINI}.tissue:TASK",
        "mini_terrain": f"{_MINI}.terrain:TASK",
        "mini_count": f"{_MINI}.scenes:COUNT",
        "mini_distance": f"{_MINI}.scenes:DISTANCE",
        "mini_location": f"{_MINI}.sprites:LOCATION",
        "mini_orientation": f"{_MINI}.sprites:ORIENTATION",
        "mini_azimuth": f"{_MINI}.solids:AZIMUTH",
        "mini_elevation": f"{_MINI}.solids:ELEVATION",
    },
    "suites": {
        "vtab-1k": f"{_VTAB}:SUITE",
        "mini": f"{_MINI}:SUITE",
    },
    "protocols": {
        "linear": f"{_PROTOCOLS}.linear:Linear",
        "knn": f"{_PROTOCOLS}.knn:NearestNeighbours",
        "finetune": f"{_PROTOCOLS}.finetune:FineTune",
    },
    "pretrainers": {},
    "executors": {
        "local": "vtab_harness.executors.local:Local",
        "devices": "vtab_harness.executors.devices:Devices",
    },
}
