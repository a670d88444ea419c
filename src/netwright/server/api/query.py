"""Query strings of the native API: known parameters, each at most once."""

from urllib.parse import parse_qsl

from netwright.model.errors import HTTPBadRequest


def each_once(
    query: bytes, names: tuple[str, ...], *, repeated: tuple[str, ...] = ()
) -> dict[str, str]:
    """The parameters that were given. Raises HTTPBadRequest naming the wrong one.

    Those in `repeated` may be given many times, and are read by `values_of`.
    """
    given: dict[str, str] = {}
    for name, value in _pairs(query):
        if name in repeated:
            continue
        if name not in names or name in given:
            raise HTTPBadRequest(
                f"The parameter {name!r} is unknown or given twice.",
                next=f"This request takes each of {', '.join(names)} once.",
            )
        given[name] = value
    return given


def values_of(query: bytes, name: str) -> tuple[str, ...]:
    """All values of a parameter that may be repeated."""
    return tuple(value for key, value in _pairs(query) if key == name)


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise HTTPBadRequest(
            "The query string cannot be read.", next="Percent-encode it as UTF-8."
        ) from None
