"""What the harness brings itself, by kind: name -> ``module:attribute``, imported on use."""

from __future__ import annotations

_DATASETS = "vtab_harness.datasets"
_MINI = f"{_DATASETS}.mini"
_PROTOCOLS = "vtab_harness.protocols"

OWN = "own-"
"""What the names of tasks begin with that are made of a person's own images."""
TASK_MAKERS = {
    "folder": f"{_DATASETS}.own.folder:declare",
    "hf": f"{_DATASETS}.own.hub:declare",
}
"""Prefix of ``prefix:ARGUMENT``, given in place of a task's name -> what makes the task, called with the argument."""

NAMES: dict[str, dict[str, str]] = {
    "backbones": {
        "timm": "vtab_harness.backbones.timm_source:TIMM",
        "local-dir": "vtab_harness.backbones.timm_source:LOCAL_DIR",
        "hf-hub": "vtab_harness.backbones.timm_source:HF_HUB",
        "python": "vtab_harness.backbones.python_source:PYTHON",
        "memory": "vtab_harness.backbones.memory:MEMORY",
    },
    "tasks": {
        "caltech101": f"{_DATASETS}.caltech101:TASK",
        "cifar100": f"{_DATASETS}.cifar100:TASK",
        "dtd": f"{_DATASETS}.dtd:TASK",
        "oxford_flowers102": f"{_DATASETS}.oxford_flowers102:TASK",
        "oxford_iiit_pet": f"{_DATASETS}.oxford_iiit_pet:TASK",
        "svhn": f"{_DATASETS}.svhn_cropped:TASK",
        "sun397": f"{_DATASETS}.sun397:TASK",
        "patch_camelyon": f"{_DATASETS}.patch_camelyon:TASK",
        "eurosat": f"{_DATASETS}.eurosat:TASK",
        "resisc45": f"{_DATASETS}.resisc45:TASK",
        "diabetic_retinopathy": f"{_DATASETS}.diabetic_retinopathy_detection:TASK",
        "clevr_count": f"{_DATASETS}.clevr:COUNT",
        "clevr_distance": f"{_DATASETS}.clevr:DISTANCE",
        "dmlab": f"{_DATASETS}.dmlab:TASK",
        "kitti_distance": f"{_DATASETS}.kitti:TASK",
        "dsprites_location": f"{_DATASETS}.dsprites:LOCATION",
        "dsprites_orientation": f"{_DATASETS}.dsprites:ORIENTATION",
        "smallnorb_azimuth": f"{_DATASETS}.smallnorb:AZIMUTH",
        "smallnorb_elevation": f"{_DATASETS}.smallnorb:ELEVATION",
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
        "vtab-1k": f"{_DATASETS}.vtab_1k:SUITE",
        "mini": f"{_MINI}:SUITE",
    },
    "protocols": {
        "linear": f"{_PROTOCOLS}.linear:Linear",
        "knn": f"{_PROTOCOLS}.knn:NearestNeighbours",
        "layers": f"{_PROTOCOLS}.layers:Layers",
        "attentive": f"{_PROTOCOLS}.attentive:Attentive",
        "linear-sgd": f"{_PROTOCOLS}.linear_sgd:LinearSgd",
        "few": f"{_PROTOCOLS}.few:NearestCentroid",
        "lora": f"{_PROTOCOLS}.lora:Lora",
        "finetune": f"{_PROTOCOLS}.finetune:FineTune",
    },
    "producers": {},
    "pretrainers": {},
    "executors": {
        "local": "vtab_harness.executors.local:Local",
        "devices": "vtab_harness.executors.devices:Devices",
        "ray": "vtab_harness.executors.ray:Ray",
        "slurm": "vtab_harness.executors.slurm:Slurm",
        "shard": "vtab_harness.executors.shard:Shard",
    },
    "reports": {},
}
