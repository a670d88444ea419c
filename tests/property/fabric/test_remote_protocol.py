"""Whatever a switch may be, or be told, comes out at the other end as it went in."""

from hypothesis import given
from hypothesis import strategies as st
from tests.property.fabric.configs import configs

from netwright.fabric.changes import difference, summary
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drivers.base import Actual, Learned
from netwright.fabric.drivers.remote import protocol
from netwright.fabric.drivers.remote.protocol import Answer, Apply

_words = st.frozensets(st.text(max_size=5), max_size=3)
_learned = st.builds(
    Learned,
    vni=st.integers(1, 2**24 - 1),
    rd=st.text(max_size=9),
    export_targets=_words,
    import_targets=_words,
    remote_vteps=_words,
)


@given(configs(), configs(), st.integers(0, 2**40))
def test_any_difference(before: SwitchConfig, after: SwitchConfig, token: int) -> None:
    for changes in (difference(before, after), summary(before, after)):
        said = protocol.line(Apply(id=7, changes=protocol.forms(changes), token=token))
        assert said.endswith(b"\n")
        assert said.count(b"\n") == 1
        heard = protocol.call(said)
        assert isinstance(heard, Apply)
        assert (heard.id, heard.token) == (7, token)
        assert protocol.changes(heard.changes) == changes


@given(
    configs(),
    st.dictionaries(st.text(max_size=5), st.booleans(), max_size=3),
    st.lists(_learned, max_size=3),
)
def test_any_configuration(
    config: SwitchConfig, links: dict[str, bool], learned: list[Learned]
) -> None:
    actual = Actual(config=config, links=links, boot_id="b\n1", isolation="no session", token=9)
    for answer in (Answer(id=1, actual=actual), Answer(id=2, learned=tuple(learned))):
        said = protocol.line(answer)
        assert said.count(b"\n") == 1
        assert protocol.word(said) == answer
