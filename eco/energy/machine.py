"""The machine that runs this: in words, and as the fingerprint that readings carry."""

import os
import platform
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
#: What a processor can do that changes the speed of arithmetic, and so the ranking of models.
FLAGS = re.compile(r"avx2|avx512f|avx512_vnni|avx_vnni|avx512_bf16|amx_\w+|asimd|sve2?|i8mm|bf16")
RUNTIMES = ("onnxruntime", "numpy", "codecarbon")


def _cpuinfo(key: str) -> str:
    """What Linux says of the first processor under a key; empty if nothing."""
    text = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.exists() else ""
    found = re.search(rf"^{key}\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def machine() -> str:
    """The present machine in one line: processor, cores, system."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def fingerprint() -> dict[str, Any]:
    """What decides the joules of a prediction here: processor, system, versions of runtimes."""
    flags = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    return {
        "cpu_model": _processor(),
        "cpu_flags": sorted(filter(FLAGS.fullmatch, flags)),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "kernel": f"{platform.system()} {platform.release()}",
        "governor": GOVERNOR.read_text().strip() if GOVERNOR.exists() else "unknown",
        "virtual": "hypervisor" in flags,
        "python": platform.python_version(),
    } | {package: _version(package) for package in RUNTIMES}


def _memory_gib() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):  # not everywhere
        return None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def differences(provenance: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """In what the machine of some readings differs from this one: by key, there and here.

    Readings without a fingerprint are of an unknown machine: they differ in everything.
    """
    there = provenance.get("fingerprint") or {}
    here = fingerprint()
    keys = dict.fromkeys([*here, *there])
    pairs = {key: (there.get(key), here.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def origin(provenance: Mapping[str, Any]) -> str:
    """Whose readings these are, in words: this machine's, or another one's and how they differ."""
    differing = differences(provenance)
    if not differing:
        return "this machine"
    there = provenance.get("machine", "an unknown machine")
    if there != machine():
        return f"another machine ({there})"
    keys = ", ".join(differing) if "fingerprint" in provenance else "no fingerprint"
    return f"a machine like this one, but for: {keys}"
