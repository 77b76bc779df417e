"""The GPUs of this machine, as nvidia-smi tells: which there are, how busy they are, and whose memory is on them.

nvidia-smi comes with the driver and into containers, so that nothing has to be installed; it is asked now and then,
never in a stage. A GPU that is divided (MIG) is not given out, its parts are.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence

from mlbutler.console import human_bytes
from mlbutler.errors import OutsideError
from mlbutler.frozen import frozen
from mlbutler.live_lines import clean

_PROGRAM = "nvidia-smi"
_TIMEOUT = 30.0
_FREED, _PAUSE = 5.0, 0.5
_NOISE = 64 << 20
_GPU = re.compile(r"GPU (?P<index>\d+): (?P<name>.*) \(UUID: (?P<uuid>GPU-[0-9a-fA-F-]+)\)")
_PART = re.compile(r"\s+MIG (?P<name>\S+)\s+Device\s+\d+: \(UUID: (?P<uuid>MIG-[0-9a-zA-Z/-]+)\)")
_NONE = ("", "-1", "NoDevFiles")


@frozen
class GpuDevice:
    """A GPU, or a part of one. `index`: of the GPU, as nvidia-smi counts. `whole`: the GPU's own UUID."""

    uuid: str
    name: str
    index: int
    whole: str


@frozen
class GpuUtilization:
    """How busy a GPU is: percent of the time, None where the driver does not say (MIG), and bytes of its memory."""

    percent: float | None
    memory: int | None


def visible_gpus(environ: Mapping[str, str]) -> tuple[GpuDevice, ...]:
    """Return the GPUs of this machine that CUDA_VISIBLE_DEVICES leaves, none without a driver.

    Raises:
        OutsideError: the driver does not answer.
    """
    bound = environ.get("CUDA_VISIBLE_DEVICES")
    found = parse_gpus(_ask(environ, "-L"))
    return found if bound is None else select_gpus(found, bound)


def parse_gpus(listing: str) -> tuple[GpuDevice, ...]:
    """Return the GPUs of a ``nvidia-smi -L``."""
    found: list[GpuDevice] = []
    divided: set[str] = set()
    for line in listing.splitlines():
        if (match := _GPU.match(line)) is not None:
            found.append(GpuDevice(match["uuid"], clean(match["name"]), int(match["index"]), match["uuid"]))
        elif (match := _PART.match(line)) is not None and found:
            whole = next(gpu for gpu in reversed(found) if gpu.uuid == gpu.whole)
            divided.add(whole.uuid)
            found.append(GpuDevice(match["uuid"], f"{whole.name} MIG {match['name']}", whole.index, whole.uuid))
    return tuple(gpu for gpu in found if gpu.uuid != gpu.whole or gpu.uuid not in divided)


def select_gpus(gpus: Sequence[GpuDevice], bound: str) -> tuple[GpuDevice, ...]:
    """Return the GPUs that a CUDA_VISIBLE_DEVICES leaves, in its order; as for CUDA, it ends at what names none.

    An index counts as nvidia-smi does; of a divided GPU it means all parts.
    """
    found: dict[str, GpuDevice] = {}
    for word in (word.strip() for word in bound.split(",")):
        meant = [] if word in _NONE else [gpu for gpu in gpus if _is_meant(gpu, word)]
        if not meant:
            break
        found |= {gpu.uuid: gpu for gpu in meant}
    return tuple(found.values())


def _is_meant(gpu: GpuDevice, word: str) -> bool:
    if word.isdecimal():
        return gpu.index == int(word)
    return word.startswith(("GPU-", "MIG-")) and (gpu.uuid.startswith(word) or gpu.whole.startswith(word))


def read_utilization(environ: Mapping[str, str]) -> dict[str, GpuUtilization]:
    """Return how busy each GPU is: UUID of the whole GPU -> use; nothing where the driver does not answer."""
    fields = "--query-gpu=uuid,utilization.gpu,memory.used"
    return {row[0]: GpuUtilization(_number(row[1]), _bytes(row[2])) for row in _rows(environ, fields, 3)}


def processes_on(environ: Mapping[str, str], gpus: Collection[GpuDevice]) -> frozenset[int]:
    """Return the processes that hold memory of these GPUs, as far as they can be seen from here."""
    wanted = {uuid for gpu in gpus for uuid in (gpu.uuid, gpu.whole)}
    rows = _rows(environ, "--query-compute-apps=gpu_uuid,pid", 2)
    return frozenset(int(pid) for uuid, pid in rows if uuid in wanted and pid.isdecimal())


def unreleased_memory(
    environ: Mapping[str, str], gpus: Sequence[GpuDevice], before: Mapping[str, GpuUtilization]
) -> tuple[str, ...]:
    """Return a sentence for each GPU whose memory a run that has ended did not release.

    The driver takes a moment to free it.

    Args:
        before: how busy they were when the run began.
    """
    until, indices = time.monotonic() + _FREED, {gpu.whole: gpu.index for gpu in gpus}
    while True:
        more = {uuid: _memory(now) - _memory(before.get(uuid, now)) for uuid, now in read_utilization(environ).items()}
        left = tuple(
            f"GPU {index} has {human_bytes(more[uuid])} more in use than before"
            for uuid, index in indices.items()
            if more.get(uuid, 0) > _NOISE
        )
        if not left or time.monotonic() > until:
            return left
        time.sleep(_PAUSE)


def _memory(use: GpuUtilization) -> int:
    return use.memory or 0


def _rows(environ: Mapping[str, str], fields: str, width: int) -> Iterator[list[str]]:
    try:
        out = _ask(environ, fields, "--format=csv,noheader,nounits")
    except OutsideError:
        return
    for line in out.splitlines():
        row = [word.strip() for word in line.split(",")]
        if len(row) == width:
            yield row


def _number(word: str) -> float | None:
    return float(word) if word.isdecimal() else None


def _bytes(word: str) -> int | None:
    return int(word) << 20 if word.isdecimal() else None


def _ask(environ: Mapping[str, str], *words: str) -> str:
    """Return what nvidia-smi answers, '' where there is none.

    Raises:
        OutsideError: it failed, or does not answer.
    """
    remedy = "Run nvidia-smi by hand; a driver that was updated needs a restart of the machine."
    try:
        process = subprocess.Popen(
            [_PROGRAM, *words], env=dict(environ) | {"LC_ALL": "C"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
    except OSError:
        return ""
    try:
        out, _ = process.communicate(timeout=_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        process.kill()  # and not waited for: one that hangs in the driver ends when that does
        raise OutsideError(f"nvidia-smi does not answer within {_TIMEOUT:.0f} s.", remedy) from error
    if process.returncode == _NO_DEVICES or "No devices were found" in out:
        return ""
    if process.returncode != 0:
        said = clean(out.strip().splitlines()[-1]) if out.strip() else f"exit code {process.returncode}"
        raise OutsideError(f"nvidia-smi failed: {said}", remedy)
    return out


_NO_DEVICES = 6  # as its manual says: no device was found
