"""What can go wrong in a lab, and whose fault it is."""

from netwright.model.errors import Category, Fault, NetwrightError


class LabError(NetwrightError):
    """The machine refused something that the lab needs (a program failed, a wait ran out)."""

    fault = Fault.DEVICE


class SpecError(LabError):
    """A lab description, a name or a fault expression that says no valid thing."""

    fault = Fault.CALLER
    category = Category.INVALID


class UnknownLabObjectError(LabError):
    """No such lab, node, process, cable or instance."""

    fault = Fault.CALLER
    category = Category.NOT_FOUND
