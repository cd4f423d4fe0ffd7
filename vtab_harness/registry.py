"""One typed, lazy registry for every kind of thing that can be named on the command line.

Built-in names map to ``module:attribute`` and are imported on use. Plugins announce theirs in the entry-point group
``vtab_harness.<kind>``; reading the announcement imports nothing. A running program adds its own with `register`.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass, replace
from functools import cached_property
from importlib import metadata
from typing import Any, Generic, TypeVar, cast

from vtab_harness import builtin
from vtab_harness.api.backbones import BackboneSource
from vtab_harness.api.contracts import is_settings, lacking
from vtab_harness.api.errors import PluginError, UnknownNameError, unknown_name
from vtab_harness.api.executors import Executor
from vtab_harness.api.pretrainers import Pretrainer
from vtab_harness.api.producers import Producer
from vtab_harness.api.protocols import EvaluationProtocol
from vtab_harness.api.reports import Report
from vtab_harness.api.tasks import Suite, Task

T = TypeVar("T")
HARNESS = "vtab-harness"
HERE = "this process"
"""Who owns what a running program has registered itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A name, where its object is (None: in memory only), and which distribution owns it.

    With an argument the target is a function that makes the object of it.
    """

    name: str
    target: str | None
    owner: str
    argument: str | None = None


class Registry(Generic[T]):
    """Names of one kind, loaded on use.

    Args:
        kind: Singular noun for messages.
        group: Entry-point group that plugins use.
        builtin: Name -> ``module:attribute`` for what the harness brings itself.
        contract: What a loaded object must be: an instance of this, if it is a dataclass; else have its members.
        called: Whether a class is registered, which is called to make the object.
        makers: Prefix -> ``module:attribute`` of what makes an object of the rest of a name ``prefix:rest``.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        builtin: dict[str, str],
        contract: type = object,
        called: bool = False,
        makers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.group = group
        self._builtin = builtin
        self._contract = contract
        self._called = called
        self._makers = makers or {}
        self._loaded: dict[str, T] = {}
        self._registered: set[str] = set()

    @cached_property
    def _entries(self) -> dict[str, list[Entry]]:
        entries: dict[str, list[Entry]] = {}
        for name, target in self._builtin.items():
            entries.setdefault(name, []).append(Entry(name, target, HARNESS))
        for point in metadata.entry_points(group=self.group):
            owner = point.dist.name if point.dist is not None else "an unknown distribution"
            entry = Entry(point.name, point.value, owner)
            # A checkout beside an installed copy announces the same thing twice; that is one owner, not two.
            if entry not in entries.setdefault(point.name, []):
                entries[point.name].append(entry)
        return entries

    def names(self) -> list[str]:
        """Returns every announced name: built-ins in their own order, then plugins. Imports nothing."""
        return list(self._entries)

    def owner(self, name: str) -> str:
        """Returns the distribution that a name belongs to; those that claim it, where several do."""
        return " and ".join(entry.owner for entry in self._entries[name])

    def register(self, name: str, found: T | str, owner: str = HERE) -> None:
        """Makes a name known to this process, until it ends or the name is unregistered.

        Args:
            name: What it is to be called.
            found: The object (the class, for protocols and executors), checked at once; or ``module:attribute``, which
                is imported and checked on use, as a plugin's is.
            owner: Who answers for it in messages.

        Raises:
            PluginError: The name is taken, or the object is not of this kind.
        """
        if name in self._entries:
            raise PluginError(
                f"The {self.kind} {name!r} cannot be registered: {self.owner(name)} owns that name.",
                "Take another name, or unregister it first if it is your own.",
            )
        entry = Entry(name, found if isinstance(found, str) else None, owner)
        self._entries[name] = [entry]
        self._registered.add(name)
        if not isinstance(found, str):
            try:
                self._loaded[name] = self._accepted(found, self._broken(found, name), entry)
            except BaseException:
                self.unregister(name)
                raise

    def unregister(self, name: str) -> None:
        """Forgets a name that this process has registered.

        Raises:
            UnknownNameError: There is no such name.
            PluginError: It belongs to an installed distribution.
        """
        if name not in self._registered:
            owner = self._entry(name).owner
            raise PluginError(f"The {self.kind} {name!r} belongs to {owner} and was not registered by this process.")
        self._registered.discard(name)
        self._loaded.pop(name, None)
        del self._entries[name]

    @contextmanager
    def registered(self, name: str, found: T | str, owner: str = HERE) -> Iterator[None]:
        """Inside, a name is known; see `register`."""
        self.register(name, found, owner)
        try:
            yield
        finally:
            self.unregister(name)

    def here(self) -> list[Entry]:
        """Returns what this process has registered: plain data, for another process to `take_over`."""
        return [self._entries[name][0] for name in self._entries if name in self._registered]

    def take_over(self, entries: Iterable[Entry]) -> None:
        """Makes known what another process has registered; what is known here already stays.

        An object in that process's memory is known by name only, and an error where it is used.
        """
        for entry in entries:
            if entry.name not in self._entries:
                self._entries[entry.name] = [entry]
                self._registered.add(entry.name)

    def makes(self, name: str) -> bool:
        """Whether a name is ``prefix:rest``, of which an object is made."""
        prefix, colon, _ = name.partition(":")
        return bool(colon) and prefix in self._makers

    def _entry(self, name: str) -> Entry:
        entries = self._entries.get(name)
        if not entries and self._makers and name.startswith(builtin.OWN):
            raise UnknownNameError(
                f"The {self.kind} {name!r} is made of somebody's own images, and nobody has said where they are.",
                "Name them in its place: folder:PATH or hf:ORG/NAME.",
            )
        if not entries:
            raise unknown_name(self.kind, name, [*self.names(), *(f"{prefix}:" for prefix in self._makers)])
        if len(entries) > 1:
            claims = " and ".join(f"{e.owner} ({e.target})" for e in entries)
            raise PluginError(f"The {self.kind} {name!r} is claimed by {claims}.", "Uninstall or rename one of them.")
        return entries[0]

    def get(self, name: str) -> T:
        """Imports and returns what a name stands for; what ``prefix:rest`` does is made anew each time.

        Raises:
            UnknownNameError: Nobody owns the name; the message lists the nearest.
            PluginError: Two distributions own it, it cannot be imported, or it is not of this kind.
            VtabError: It cannot be made.
        """
        if self.makes(name):
            prefix, _, rest = name.partition(":")
            return self._make(Entry(name, self._makers[prefix], HERE, rest))
        if name not in self._loaded:
            self._loaded[name] = self._load(self._entry(name))
        return self._loaded[name]

    def _make(self, entry: Entry) -> T:
        """Makes an object, and makes it known by its own name: to this process, and to those that `take_over`."""
        made: Any = self._imported(entry)(entry.argument)
        name: str = made.name
        if any(known.argument is None for known in self._entries.get(name, ())):
            raise PluginError(f"{entry.name} would be the {self.kind} {name!r}, which {self.owner(name)} owns.")
        self._loaded[name] = self._accepted(made, self._broken(made, name), entry)
        self._entries[name] = [replace(entry, name=name)]
        self._registered.add(name)
        return self._loaded[name]

    def _load(self, entry: Entry) -> T:
        found = self._imported(entry)
        if entry.argument is not None:
            found = found(entry.argument)
        return self._accepted(found, self._broken(found, entry.name), entry)

    def _imported(self, entry: Entry) -> Any:
        if entry.target is None:
            raise PluginError(
                f"The {self.kind} {entry.name!r} is an object in the memory of another process, which registered it.",
                "Register it as 'module:attribute', announce it in a plugin, or use the executor 'local'.",
            )
        module, _, attribute = entry.target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
            if entry.argument is None:
                # A plugin may fail in any way where its members are looked at, too.
                self._broken(found, entry.name)
        except PluginError as error:
            message = f"The {self.kind} {entry.name!r} of {entry.owner} cannot be used: {error.message}"
            raise PluginError(message, error.hint) from error
        # A plugin may fail in any way at all while it is imported, and even leave the program; one broken plugin must
        # not stop the others.
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"The {self.kind} {entry.name!r} of {entry.owner} cannot be imported from {entry.target}: "
                f"{type(error).__name__}: {error}",
                f"Reinstall or uninstall {entry.owner}.",
            ) from error
        return found

    def _accepted(self, found: object, broken: str | None, entry: Entry) -> T:
        if broken is not None:
            raise PluginError(
                f"{entry.target or repr(entry.name)} of {entry.owner} is not a {self.kind}: {broken}.",
                f"See CONTRIBUTING.md on how to add a {self.kind}, and vtab_harness.testing for checks.",
            )
        return cast("T", found)

    def _broken(self, found: Any, name: str) -> str | None:
        """Returns how an object breaks the contract of its kind, or None."""
        contract = self._contract
        if is_dataclass(contract):
            if not isinstance(found, contract):
                return f"it is a {type(found).__name__} and no {contract.__name__}"
        elif contract is not object:
            if isinstance(found, type) != self._called:
                return "it is no class" if self._called else "it is a class, not an object of it"
            # A protocol may take its settings only when it is made; they are checked then.
            if missing := lacking(found, contract, later=("settings",) if self._called else ()):
                return f"it has no {', '.join(missing)}"
        # Records are filed and found again by the object's own name.
        if "name" in getattr(contract, "__annotations__", ()) and found.name != name:
            return f"it calls itself {found.name!r} and is registered as {name!r}"
        if contract in (Producer, Pretrainer, Report) and not is_settings(found.settings):
            return f"its settings are {found.settings!r}, not an instance of a frozen dataclass"
        return _broken_family(found) if contract is Pretrainer else None

    def items(self) -> Iterator[tuple[str, T]]:
        """Yields every name with what it stands for; one that cannot be loaded gives a warning and is left out."""
        for name in self.names():
            try:
                yield name, self.get(name)
            except PluginError as error:
                warnings.warn(str(error), stacklevel=2)


def _broken_family(found: Pretrainer) -> str | None:
    if found.family not in pretrainer_families():
        return f"its family is {found.family!r}, and no registered pretrainer's name begins with '{found.family}-'"
    return None


def _registry(
    kind: str, plural: str, contract: type, called: bool = False, makers: Mapping[str, str] | None = None
) -> Registry[T]:
    return Registry(kind, f"vtab_harness.{plural}", builtin.NAMES[plural], contract, called, makers)


backbones: Registry[BackboneSource] = _registry("backbone source", "backbones", BackboneSource)
tasks: Registry[Task] = _registry("task", "tasks", Task, makers=builtin.TASK_MAKERS)
suites: Registry[Suite] = _registry("suite", "suites", Suite)
protocols: Registry[Callable[..., EvaluationProtocol]] = _registry(
    "protocol", "protocols", EvaluationProtocol, called=True
)
producers: Registry[Producer] = _registry("producer", "producers", Producer)
pretrainers: Registry[Pretrainer] = _registry("pretrainer", "pretrainers", Pretrainer)
executors: Registry[Callable[..., Executor]] = _registry("executor", "executors", Executor, called=True)
reports: Registry[Report] = _registry("report", "reports", Report)
KINDS: dict[str, Registry[Any]] = {
    "backbones": backbones,
    "tasks": tasks,
    "suites": suites,
    "protocols": protocols,
    "producers": producers,
    "pretrainers": pretrainers,
    "executors": executors,
    "reports": reports,
}
"""All registries, by the plural noun that ``vtab list`` takes."""


def of_kind(kind: str) -> Registry[Any]:
    """Returns the registry of a kind, by its plural noun: one of `KINDS`.

    Raises:
        UnknownNameError: There is no such kind.
    """
    if kind not in KINDS:
        raise unknown_name("kind", kind, list(KINDS))
    return KINDS[kind]


def register(kind: str, name: str, found: object) -> None:
    """Makes a task, protocol and so on known by name to this process, as a plugin does to all.

    Sweeps find it where they run in this process. An executor tells its processes of what is registered as
    ``module:attribute``; an object in memory is a clear error there. For lasting use announce it in a plugin.

    Args:
        kind: backbones, tasks, suites, protocols, producers, pretrainers, executors or reports.
        name: What it is to be called.
        found: The object (the class, for protocols and executors), checked at once; or ``module:attribute``.

    Raises:
        UnknownNameError: There is no such kind.
        PluginError: The name is taken, or the object is not of this kind.

    Examples:
        >>> import vtab_harness
        >>> from vtab_harness.api.tasks import Suite
        >>> digits = Suite("digits", "1", ("mini_digits", "svhn"), "Handwritten and photographed digits.")
        >>> vtab_harness.register("suites", "digits", digits)
        >>> vtab_harness.register("suites", "digits", digits)
        Traceback (most recent call last):
            ...
        vtab_harness.api.errors.PluginError: The suite 'digits' cannot be registered: this process owns that name.
        Take another name, or unregister it first if it is your own.
        >>> vtab_harness.unregister("suites", "digits")
    """
    of_kind(kind).register(name, found)


def unregister(kind: str, name: str) -> None:
    """Forgets what `register` has made known.

    Raises:
        UnknownNameError: There is no such kind or name.
        PluginError: The name belongs to an installed distribution.

    Examples:
        >>> import vtab_harness
        >>> vtab_harness.register("tasks", "moths", "my_package.moths:TASK")
        >>> vtab_harness.unregister("tasks", "moths")
    """
    of_kind(kind).unregister(name)


def registered_here() -> dict[str, list[Entry]]:
    """Returns by kind what this process has registered itself: plain data, to `take_over` in another process."""
    return {kind: names.here() for kind, names in KINDS.items()}


def take_over(registered: Mapping[str, Iterable[Entry]]) -> None:
    """Makes known what the process that started this one has registered."""
    for kind, entries in registered.items():
        of_kind(kind).take_over(entries)


def pretrainer_families() -> list[str]:
    """Returns the prefixes that name the checkpoint folders of registered pretrainers; imports nothing."""
    return list(dict.fromkeys(name.partition("-")[0] for name in pretrainers.names()))
