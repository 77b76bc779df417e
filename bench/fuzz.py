"""Try hostile inputs by the hundred thousand: ``make fuzz``, or ``python -m bench.fuzz --inputs 20000 logs YAML``.

Each target (`tests/fuzz/targets.py`) works in processes of its own, with limits on memory and time of the processor. A
fault is named by its target and a number, which give the same input again: ``--only-number N`` with the target's name.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import re
import resource
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

_MEMORY = 3 << 30
"""Bytes of address space for a process, against what would take the machine down; the judge is stricter."""
_CPU = 1200
_BATCH = 4000
_CALIBRATION = 60


@dataclass
class Found:
    """What came of a target's inputs.

    `faults`: each kind once, with the number of an input that shows it and how many did.
    """

    inputs: int = 0
    cpu: float = 0.0
    slowest: float = 0.0
    peak: int = 0
    faults: dict[str, list[int]] = field(default_factory=dict)


def main() -> int:
    """Run the inputs and print a table; return 1 where something was found."""
    parser = argparse.ArgumentParser(prog="bench.fuzz", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("targets", nargs="*", help="names, or beginnings of names; all if none")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in all (default: a million)")
    parser.add_argument("--seed", default="1", help="another one makes other inputs")
    parser.add_argument("--only-number", type=int, help="try this one input of the named target, and show it")
    parser.add_argument("--json", type=Path, help="write what was found there")
    asked = parser.parse_args()
    from tests.fuzz.targets import TARGETS

    names = [name for name in TARGETS if not asked.targets or any(name.startswith(one) for one in asked.targets)]
    if asked.only_number is not None:
        return _show(names[0], asked.seed, asked.only_number)
    os.nice(10)
    found = dict(_all(names, asked.inputs, asked.seed))
    _print(found)
    if asked.json:
        asked.json.write_text(json.dumps({name: vars(one) for name, one in found.items()}, indent=1))
    return int(any(one.faults for one in found.values()))


def _all(names: list[str], inputs: int, seed: str) -> Iterator[tuple[str, Found]]:
    """Yield what was found in each target: those that are quick get more of the inputs."""
    found = {name: Found() for name in names}
    for name in names:
        _batch(name, seed, range(_CALIBRATION), found[name])
    rates = {name: 1 / (0.0005 + one.cpu / max(one.inputs, 1)) for name, one in found.items()}
    for name, one in found.items():
        number, last = _CALIBRATION, int(inputs * rates[name] / sum(rates.values()))
        while number < last:
            size = min(_BATCH, last - number)
            _batch(name, seed, range(number, number + size), one)
            number += size
        print(
            f"{name}: {one.inputs:,} inputs, {one.cpu:,.0f} s, {len(one.faults)} kinds of faults",
            file=sys.stderr,
            flush=True,
        )
        yield name, one


def _batch(name: str, seed: str, numbers: range, found: Found) -> None:
    """Try these inputs in processes of their own; one that is killed costs its input and goes on behind it."""
    now = mmap.mmap(-1, 8)
    while numbers:
        now[:] = struct.pack("q", numbers[0])
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            code = 70
            try:
                with os.fdopen(writer, "w") as out:
                    json.dump(_try_inputs(name, seed, numbers, now), out)
                code = 0
            finally:
                os._exit(code)
        os.close(writer)
        with os.fdopen(reader) as answer:
            text = answer.read()
        _, status, used = os.wait4(child, 0)
        found.cpu += used.ru_utime + used.ru_stime
        found.peak = max(found.peak, used.ru_maxrss << 10)
        at = struct.unpack("q", now[:])[0]
        if text and status == 0:
            _take(found, json.loads(text))
            return
        _note(found, f"the process ended with {os.waitstatus_to_exitcode(status)}", at)
        found.inputs += at - numbers[0] + 1
        numbers = range(at + 1, numbers.stop)


def _try_inputs(name: str, seed: str, numbers: range, now: mmap.mmap) -> dict[str, object]:
    from tests.fuzz.mutations import CANARY
    from tests.fuzz.oracles import Fault, Watch, bounded, judged
    from tests.fuzz.targets import TARGETS

    for limit, value in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _CPU), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (value, value))
    place = Path(tempfile.mkdtemp(prefix="mlbutler-fuzz-")).resolve()
    folder = place / "work"
    for path in (folder, place / CANARY):
        path.mkdir()
    (place / CANARY / "secret").write_text("a secret")
    os.environ["DVC_SITE_CACHE_DIR"], os.environ["HOME"] = str(folder / "site"), str(folder)
    os.chdir(folder)
    target, watch = TARGETS[name], Watch(folder)
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # for as long as the process
    slowest, faults = 0.0, dict[str, list[int]]()
    try:
        for number in numbers:
            now[:] = struct.pack("q", number)
            random, content = _input(name, seed, number)
            try:
                with bounded(), watch.watching():
                    slowest = max(slowest, judged(lambda c=content, r=random: target.read(c, folder, r)))  # type: ignore[misc]
            except Fault as fault:
                faults.setdefault(_kind(fault), [number, 0])[1] += 1
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return {"inputs": len(numbers), "slowest": slowest, "faults": faults}


def _input(name: str, seed: str, number: int) -> tuple[Random, bytes]:
    from tests.fuzz.mutations import mutated
    from tests.fuzz.targets import TARGETS

    random = Random(f"{seed}:{name}:{number}")
    target = TARGETS[name]
    return random, mutated(random, target.seeds, target.kind)


def _kind(fault: Exception) -> str:
    """Return what tells a fault from others: where it was raised, and its words without their numbers."""
    cause, where = fault.__cause__, ""
    if cause is not None:
        trace = cause.__traceback__
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            where = f" at {Path(file).name}:{trace.tb_lineno}" if "/mlbutler/" in file else where
            trace = trace.tb_next
    return re.sub(r"\d+", "0", re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", str(fault)))[:120] + where


def _take(found: Found, answer: dict[str, object]) -> None:
    found.inputs += int(str(answer["inputs"]))
    found.slowest = max(found.slowest, float(str(answer["slowest"])))
    faults = answer["faults"]
    assert isinstance(faults, dict)
    for kind, (number, times) in faults.items():
        _note(found, kind, number, times)


def _note(found: Found, kind: str, number: int, times: int = 1) -> None:
    found.faults.setdefault(kind, [number, 0])[1] += times


def _show(name: str, seed: str, number: int) -> int:
    import traceback

    from tests.fuzz.oracles import Fault, judged
    from tests.fuzz.targets import TARGETS

    random, content = _input(name, seed, number)
    print(f"{len(content):,} bytes: {content[:2000]!r}")
    folder = Path(tempfile.mkdtemp(prefix="mlbutler-fuzz-")).resolve()
    try:
        print(f"nothing was found, in {judged(lambda: TARGETS[name].read(content, folder, random)):.3f} s")
    except Fault as fault:
        traceback.print_exception(fault)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _print(found: dict[str, Found]) -> None:
    print(f"{'target':26} {'inputs':>9} {'CPU s':>7} {'slowest s':>9} {'peak MB':>8}  faults")
    for name, one in found.items():
        print(f"{name:26} {one.inputs:9,} {one.cpu:7,.0f} {one.slowest:9.2f} {one.peak >> 20:8}  {len(one.faults)}")
        for kind, (number, times) in one.faults.items():
            print(f"    {times} times, first with --only-number {number}: {kind}")
    inputs, cpu = sum(one.inputs for one in found.values()), sum(one.cpu for one in found.values())
    print(f"{'all':26} {inputs:9,} {cpu:7,.0f}   {time.strftime('%Y-%m-%d')}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    sys.exit(main())
