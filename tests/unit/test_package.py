import netwright


def test_the_package_says_what_it_is() -> None:
    assert netwright.__doc__ is not None
    assert "data center" in netwright.__doc__
