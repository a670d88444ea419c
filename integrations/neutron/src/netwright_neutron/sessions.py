"""Transactions of our own in Neutron's database, beside those of its API's requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from neutron_lib import context as neutron_context
from neutron_lib.db import api as db_api


@contextmanager
def writing() -> Iterator[Any]:
    """A session whose transaction is committed when the block ends well."""
    context = neutron_context.get_admin_context()
    with db_api.CONTEXT_WRITER.using(context):
        yield context.session


@contextmanager
def reading() -> Iterator[Any]:
    context = neutron_context.get_admin_context()
    with db_api.CONTEXT_READER.using(context):
        yield context.session
