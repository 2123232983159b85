"""Can Keras compute here, on the backend that `cv finetune` would take."""

from __future__ import annotations

from ..core.device import keras_backend
from ..core.extras import has_extra
from ..core.health import Check, run_probe
from ..core.install import pip_command

_PROBE = """
import json, keras, numpy
a = numpy.arange(262144, dtype="float32").reshape(512, 512) / 262144
product = keras.ops.convert_to_numpy(keras.ops.matmul(a, a))
device = "a GPU" if keras.backend.backend() == "torch" and __import__("torch").cuda.is_available() else "the CPU"
works = bool(numpy.allclose(product, a @ a, rtol=1e-2, atol=1e-2))
print(json.dumps({"version": keras.__version__, "backend": keras.backend.backend(), "device": device, "works": works}))
"""


def check_classify() -> list[Check]:
    """Keras with a real multiplication, compared with NumPy's."""
    if not has_extra("classify"):
        return []
    backend = keras_backend("auto")
    found = run_probe(_PROBE, env={"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"})
    if isinstance(found, str):
        fix = pip_command(f"--force-reinstall keras {backend}")
        return [Check("keras", "problem", f"Keras does not work on {backend}: {found}", fix)]
    what = f"Keras {found['version']} on {found['backend']} computes on {found['device']}"
    if found["works"]:
        return [Check("keras", "ok", what)]
    fix = pip_command(f"--force-reinstall {backend}")
    return [Check("keras", "problem", f"{what}, but the numbers are wrong", fix)]
