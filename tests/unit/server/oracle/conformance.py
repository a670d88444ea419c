"""`docs/conformance.md`: what it says, given what the checks found."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from tests.unit.server.oracle.definitions import CORE, OURS, known
from tests.unit.server.oracle.exceptions import ACTIONS_LATER, DEVIATIONS, LATER, LIMITS
from tests.unit.server.oracle.unannounced import WHY

from netwright.server.api.v2 import extensions

SUITE_BEGIN, SUITE_END = "<!-- the public suite: begin -->", "<!-- the public suite: end -->"
_NO_SUITE = "Not run yet."


class Count(NamedTuple):
    """How many checks of an alias pass, and how many are known to fail."""

    passed: int
    deviating: int


def page(counts: Mapping[str, Count], suite: str) -> str:
    """The whole page. `suite` is what stands between the marks, which others write."""
    announced = sorted(extensions.announced())
    passed = sum(each.passed for each in counts.values())
    deviating = sum(each.deviating for each in counts.values())
    rows = [_row(alias, counts[alias]) for alias in (*CORE, *announced)]
    deviations = [
        f"| `{one.collection}` | `{one.attribute}` | {', '.join(map(_code, one.checks))} | "
        f"{one.reason} |"
        for one in DEVIATIONS
    ]
    others = sorted(known().keys() - extensions.announced() - set(CORE))
    missing = [f"| `{alias}` | {WHY[alias][0]} | {WHY[alias][1]} |" for alias in others]
    later = [f"- `{name}`: {reason}." for name, reason in {**LATER, **ACTIONS_LATER}.items()]
    return _PAGE.format(
        announced=len(announced),
        ours="\n".join(f"- `{alias}`: {what}." for alias, what in OURS.items()),
        passed=f"{passed:,}",
        deviating=deviating,
        rows="\n".join(rows),
        deviations="\n".join(deviations),
        later="\n".join(later),
        limits="\n".join(f"- `{alias}`: {what}." for alias, what in LIMITS.items()),
        number=len(missing),
        missing="\n".join(missing),
        begin=SUITE_BEGIN,
        suite=suite,
        end=SUITE_END,
    )


def suite_of(text: str) -> str:
    """What a page says of the public suite."""
    _, _, rest = text.partition(SUITE_BEGIN)
    said, mark, _ = rest.partition(SUITE_END)
    return said.strip() if mark else _NO_SUITE


def counts_of(text: str) -> Mapping[str, Count]:
    """The counts that a page shows."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 5 and cells[1].isdecimal():
            found[cells[0].strip("`")] = Count(int(cells[1]), int(cells[2]))
    return found


def is_excused(collection: str, attribute: str, check: str) -> bool:
    return any(
        fnmatchcase(check, pattern)
        for one in DEVIATIONS
        if (one.collection, one.attribute) == (collection, attribute)
        for pattern in one.checks
    )


def _row(alias: str, count: Count) -> str:
    what = "core" if alias in CORE else "ours" if alias in OURS else "Neutron's"
    return f"| `{alias}` | {count.passed} | {count.deviating} | 0 | {what} |"


def _code(check: str) -> str:
    return f"`{check}`"


_PAGE = """# Conformance with the Networking API

What Netwright announces under `/v2.0/extensions`, and how far it does what Neutron's definition of
it says. `make conformance` runs the checks and writes this page; `tests/unit/server/oracle` runs
the same ones with the unit tests, and fails when this page lists other aliases or deviations than
there are. [ADR 42](adr/0042-the-oracle.md) says how they are made.

The oracle is neutron-lib: of each attribute of each alias that it defines, whether it is shown and
in lists, alone by `fields`; its default; whether it is required; that it is taken in POST and PUT,
converted, and shown as it was given, or refused with 400 in Neutron's words; that {{what its
validators refuse}} is refused and changes nothing; filters and sort keys, and that others are
refused; who may give it and who sees it (Neutron's default policies). Aliases without attributes,
and the few that only Neutron itself defines, have a check of what they mean.

{announced} aliases are announced: {passed} checks pass, {deviating} are known to fail, none is
skipped. Ours, which nobody else has:

{ours}

## Announced

| alias | passed | failed, named below | skipped | whose |
|---|---:|---:|---:|---|
{rows}

## Deviations

| collection | attribute | checks | why |
|---|---|---|---|
{deviations}

Named by the definition of an announced alias, and not served:

{later}

Without a data plane, and so refused, or failing with the reason when a port is bound:

{limits}

## Not announced

{number} aliases that neutron-lib knows. "Planned": it comes when its API conforms and something
carries it out; "not planned": asked for by nobody here yet.

| alias | | why |
|---|---|---|
{missing}

## The public suite

{begin}
{suite}
{end}
""".replace("{{what its\nvalidators refuse}}", "what its\nvalidators refuse")
