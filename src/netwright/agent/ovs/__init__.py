"""The Open vSwitch half of the host agent: clients, pure plan, driver, link witness."""
