"""Can torch compute here, on the CPU and on a GPU."""

from __future__ import annotations

from ..core.device import nvidia_gpus
from ..core.extras import has_extra
from ..core.health import Check, run_probe
from ..core.install import pip_command

_PROBE = """
import json, torch
def works(device):
    a = torch.arange(262144, dtype=torch.float32, device=device).reshape(512, 512) / 262144
    return bool(torch.allclose((a @ a).cpu(), a.cpu() @ a.cpu(), rtol=1e-2, atol=1e-2))
gpus = []
for number in range(torch.cuda.device_count()):
    try:
        gpus.append([torch.cuda.get_device_name(number), works(f"cuda:{number}"), ""])
    except Exception as error:
        gpus.append([f"GPU {number}", False, str(error).splitlines()[0]])
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "cpu": works("cpu"), "gpus": gpus}))
"""


def check_detect() -> list[Check]:
    """A real multiplication by torch on the CPU and on each GPU, compared with each other."""
    if not has_extra("detect"):
        return []
    found = run_probe(_PROBE)
    if isinstance(found, str):
        fix = pip_command("--force-reinstall torch torchvision")
        return [Check("torch", "problem", f"torch does not work: {found}", fix)]
    if not found["cpu"]:
        return [Check("torch", "problem", "torch computes wrong numbers on this CPU", "report it to the torch project")]
    return [Check("torch", "ok", f"torch {found['version']} computes on the CPU"), _gpu(found)]


def _gpu(found: dict) -> Check:
    broken = [(name, why) for name, works, why in found["gpus"] if not works]
    if broken:
        name, why = broken[0]
        return Check("GPU", "problem", f"torch sees {name} but cannot compute on it: {why}", _driver_fix(found["cuda"]))
    if found["gpus"]:
        names = ", ".join(name for name, _, _ in found["gpus"])
        return Check("GPU", "ok", f"torch computes on {names}; training of detectors and classifiers will use it")
    there = nvidia_gpus()
    if not there:
        return Check("GPU", "note", "no NVIDIA GPU here; everything runs on the CPU")
    if found["cuda"] is None:
        fix = pip_command("--force-reinstall torch torchvision")
        return Check("GPU", "problem", f"{there[0]} is not used: this torch is built for the CPU alone", fix)
    return Check("GPU", "problem", f"{there[0]} is not used: torch cannot reach it", _driver_fix(found["cuda"]))


def _driver_fix(cuda: str | None) -> str:
    return f"update the NVIDIA driver to one that supports CUDA {cuda}, restart, and run `cv doctor` again"
