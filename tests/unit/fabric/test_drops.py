"""What leaves' interfaces drop is made once, and again where a host's fences are others."""

from netwright.fabric.config import Fenced
from netwright.fabric.drops import Drops


def fences(*names: str) -> tuple[Fenced, ...]:
    return tuple(
        Fenced(port_id=f"p{name}", mac_address=f"02:{name}", addresses=(f"10.0.0.{name}",))
        for name in names
    )


def test_what_has_not_changed_is_the_very_same() -> None:
    drops = Drops()
    one, other = fences("1", "2"), fences("3")
    made = drops.of({"h1": (one,), "h2": (other,)})
    assert made == {"h1": one, "h2": other}
    again = drops.of({"h1": (one,), "h2": (fences("3", "4"),)})
    assert again["h1"] is made["h1"]
    assert again["h2"] == fences("3", "4")


def test_an_interface_drops_what_all_of_its_hosts_may_say_each_sender_once() -> None:
    drops = Drops()
    one = fences("2", "1")
    twice = (Fenced(port_id="q", mac_address="02:1", addresses=("10.0.0.9",)),)
    assert drops.of({"h1": (one, twice)})["h1"] == (
        *fences("1", "2"),
        Fenced(port_id="q", mac_address="", addresses=("10.0.0.9",)),
    )
    assert drops.of({"h1": (one,)})["h1"] == fences("1", "2")
    assert drops.of({}) == {}
    assert drops.of({"h1": (twice,)})["h1"] == twice
