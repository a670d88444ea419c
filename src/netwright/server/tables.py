"""Tables as a batch sees them: what was loaded, and what the batch has made of it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

Journal = list[tuple[Any, ...]]
"""What undoes each change: a function, and what to call it with."""


class Rows(Generic[K, V]):
    """A table as the batch sees it: values by key; None is absent, as is what was not loaded.

    `get` is a dict's own: a port's creation asks a dozen times.
    """

    __slots__ = ("_changes", "_journal", "_loaded", "_now", "_seen", "get", "watchers")

    get: Callable[[K], V | None]

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._loaded: dict[K, V] = {}
        self._now: dict[K, V | None] = {}
        self._seen: dict[K, V | None] = {}  # what was loaded, under what the batch has changed
        self._changes: list[tuple[K, V | None, V | None]] | None = None
        self.get = self._seen.get
        self.watchers: tuple[Callable[[V | None, V | None], None], ...] = ()

    def load(self, key: K, value: V) -> None:
        """What the table holds. What the batch has changed stays as it was read before that.

        Else another process's row that came meanwhile would be changed in place of the batch's own.
        """
        if key not in self._now:
            self._loaded[key] = self._seen[key] = value

    def rebase(self, key: K, value: V, now: V) -> None:
        """The table holds another value by now: the batch's change begins there, and ends so."""
        self._loaded[key] = value
        self.put(key, now)

    def unload(self, key: K) -> None:
        """The row is gone from the table since it was loaded."""
        self._loaded.pop(key, None)
        self._changes = None
        if key not in self._now:
            self._seen.pop(key, None)

    def put(self, key: K, value: V | None) -> None:
        """Change a row. What a watcher raises keeps it as it was."""
        for watcher in self.watchers:
            watcher(self.get(key), value)
        if key in self._now:
            self._journal.append((self._set, key, self._now[key]))
        else:
            self._journal.append((self._unset, key))
        self._now[key] = self._seen[key] = value
        self._changes = None

    def items(self) -> list[tuple[K, V]]:
        """The rows that there are, as the batch has changed them."""
        kept = {**self._loaded, **self._now}
        return [(key, value) for key, value in kept.items() if value is not None]

    def __len__(self) -> int:
        """How many rows were loaded."""
        return len(self._loaded)

    def values(self) -> Iterator[V]:
        for key, value in self._loaded.items():
            if key not in self._now:
                yield value
        for changed in self._now.values():
            if changed is not None:
                yield changed

    def loaded(self, key: K) -> V | None:
        return self._loaded.get(key)

    def is_known(self, key: K) -> bool:
        """Whether there was such a row, or the batch makes one."""
        return key in self._loaded or key in self._now

    @property
    def is_touched(self) -> bool:
        """Whether anything may have changed."""
        return bool(self._now)

    def changed(self) -> Sequence[tuple[K, V | None, V | None]]:
        """(key, before the batch, now) of all that the batch has changed."""
        if self._changes is None:
            loaded = self._loaded.get
            self._changes = [
                (key, before, value)
                for key, value in self._now.items()
                if value != (before := loaded(key))
            ]
        return self._changes

    def _set(self, key: K, value: V | None) -> None:
        self._now[key] = self._seen[key] = value
        self._changes = None

    def _unset(self, key: K) -> None:
        del self._now[key]
        self._changes = None
        if key in self._loaded:
            self._seen[key] = self._loaded[key]
        else:
            del self._seen[key]


class Table(Generic[K, V]):
    """Rows that are made when they are first asked for: a batch has to do with few tables."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tables: "Tables", owner: type) -> Rows[K, V]:
        rows: Rows[K, V] = Rows(tables.journal)
        tables.__dict__[self._name] = rows  # where it is found from now on, before this is asked
        return rows


class Tables:
    """What has a `Table` or more: by the journal is undone what is done to them."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
