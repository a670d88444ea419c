"""Runs the benchmarks: `python -m bench [NAME…] [--write]`.

Each module has `run() -> list[Result]`. Ratios compare with a peer or a physical limit that the
same run measured; the exit code is 1 when one breaks its limit. `--write` keeps the tables in
`docs/benchmarks.md`; those of benchmarks that did not run stay as they are.
"""

import argparse
import os
import platform
import sys
import time
from importlib import import_module
from pathlib import Path

from bench.result import Result, table

MODULES = (
    "ipam_flatness",
    "subnet_pools",
    "port_create",
    "postgres_ports",
    "postgres_flat",
    "watchers",
    "agent_memory",
    "lab_up",
    "agent_idle",
    "agent_pods",
    "device_up",
    "cni_add",
    "pods_at_once",
    "churn",
    "cri_sandboxes",
    "group_members",
    "round_trips",
    "quotas",
    "lists",
    "fabric_plan",
    "fabric_attach",
    "drift",
    "rack",
)
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODULES))
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} anew")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MODULES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; see --help")
    sections = _written() if options.write else {}
    broken: list[Result] = []
    for name in options.names or MODULES:
        module = import_module(f"bench.{name}")
        title = (module.__doc__ or name).partition("\n")[0]
        print(f"\n{name}: {title}", flush=True)
        began = time.monotonic()
        results: list[Result] = module.run()
        lines = table(results)
        print("\n".join(lines), f"\n({time.monotonic() - began:.0f} s)", flush=True)
        broken += [each for each in results if not each.holds]
        sections[name] = "\n".join([f"## {name}", "", title, "", _command(name), "", *lines, ""])
    if options.write:
        kept = [sections[name] for name in MODULES if name in sections]
        PAGE.write_text("\n".join([*_head(), *kept]), encoding="utf-8")
    for each in broken:
        print(f"beyond its limit: {each.name}", file=sys.stderr)
    return int(bool(broken))


def _command(name: str) -> str:
    """How the numbers of one benchmark are measured again."""
    return f"    .venv/bin/python -m bench {name}"


def _written() -> dict[str, str]:
    """The page's sections by benchmark, as they were written before."""
    _, *sections = PAGE.read_text(encoding="utf-8").split("\n## ")
    return {text.partition("\n")[0]: f"## {text.rstrip()}\n" for text in sections}


def _head() -> list[str]:
    machine = f"{os.cpu_count()} cores of {_processor()}, Linux {platform.release()}, Python"
    return [
        "# Benchmarks",
        "",
        "Written by `.venv/bin/python -m bench --write`, or with the names of some; `make bench`",
        "measures all and checks the limits.",
        "Trust the ratios: each compares with what the same run measured on the same machine",
        f"({machine} {platform.python_version()}).",
        "",
    ]


def _processor() -> str:
    """Its model, as Linux names it: how cold its caches are after a pause is its own (ADR 58)."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


if __name__ == "__main__":
    sys.exit(main())
