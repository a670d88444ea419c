"""`python -m tests.conformance`: runs the oracle and says how each alias stands.

`--write` writes it to docs/conformance.md. Ends with 1 when a check fails that no exception names.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import structlog
from tests.unit.server.oracle.behaviours import BEHAVIOURS
from tests.unit.server.oracle.checks import cases, checked
from tests.unit.server.oracle.conformance import Count, is_excused, page, suite_of
from tests.unit.server.oracle.definitions import CORE
from tests.unit.server.oracle.scene import opened
from tests.unit.server.oracle.sub_resources import checked_sub, said

from netwright.server.api.v2 import extensions

PAGE = Path(__file__).parents[1] / "docs" / "conformance.md"


async def counted() -> tuple[Mapping[str, Count], list[str]]:
    """The counts by alias, and what failed that should not."""
    passed: Counter[str] = Counter(dict.fromkeys((*CORE, *extensions.announced()), 0))
    passed.update(extensions.announced())  # each is announced as Neutron announces it
    deviating: Counter[str] = Counter()
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        async with opened(Path(directory)) as scene:
            for case in cases():
                for check, wrong in (await checked(scene, case)).items():
                    excused = is_excused(case.collection, case.attribute, check)
                    (deviating if excused else passed)[case.alias] += 1
                    if (wrong is not None) is not excused:
                        failed.append(f"{case.collection}.{case.attribute}: {check}: {wrong}")
            for alias, behaves in BEHAVIOURS.items():
                await behaves(scene)
                await scene.clear()
                passed[alias] += 1
            for (collection, attribute), (alias, _) in said().items():
                async for check, wrong in checked_sub(scene, collection, attribute):
                    passed[alias] += 1
                    if wrong is not None:
                        failed.append(f"{collection}.{attribute}: {check}: {wrong}")
                await scene.clear()
    return {alias: Count(passed[alias], deviating[alias]) for alias in passed}, failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    arguments = parser.parse_args()
    level = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=level)
    counts, failed = asyncio.run(counted())
    before = PAGE.read_text() if PAGE.exists() else ""
    text = page(counts, suite_of(before))
    if arguments.write and not failed:
        PAGE.write_text(text)
    sys.stdout.write("\n".join(failed) if failed else text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
