"""Spec strings: ``prefix:name[?key=value&...]``, as a person types them on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

from vtab_harness.api.backbones import Backbone, BackboneSpec
from vtab_harness.api.errors import OptionError


def parse(text: str) -> BackboneSpec:
    """Splits a spec string; imports no backbone source.

    The first colon ends the prefix, so names may hold colons. Percent escapes are decoded; ``+`` stays a plus, because
    names and values are paths more often than form fields.

    Args:
        text: For example ``timm:resnet50.a1_in1k?checkpoint=/data/my%20weights.pt``.

    Returns:
        The spec, with decoded name and options.

    Raises:
        OptionError: There is no prefix or name, or an option is malformed or given twice.
    """
    head, question, tail = text.strip().partition("?")
    prefix, colon, name = head.partition(":")
    if not colon:
        source = "local-dir" if "/" in head or "\\" in head else "timm"
        raise OptionError(f"The backbone {text!r} has no prefix.", f"Write {source}:{text.strip() or 'NAME'}")
    if not prefix:
        raise OptionError(f"The backbone {text!r} has nothing before its first colon.", f"Write timm{text.strip()}")
    if not name:
        raise OptionError(f"The backbone {text!r} has no name after {prefix + ':'!r}.", f"Write {prefix}:NAME")
    options: dict[str, str] = {}
    for part in tail.split("&") if question and tail else []:
        key, equals, value = part.partition("=")
        key = _unquoted(key)
        if not equals or not key:
            raise OptionError(f"The backbone {text!r} has the option {part!r}, which is not key=value.")
        if key in options:
            raise OptionError(f"The backbone {text!r} gives the option {key!r} twice.")
        options[key] = _unquoted(value)
    return BackboneSpec(text=text, prefix=prefix, name=_unquoted(name), options=options)


def build(prefix: str, name: str, options: Mapping[str, str] | None = None) -> str:
    """Returns the spec string that ``parse`` reads back as these parts."""
    pairs = [f"{_quoted(key)}={_quoted(value, '=')}" for key, value in (options or {}).items()]
    text = f"{prefix}:{_quoted(name)}"
    # Blanks at either end would be taken for a slip of the pen.
    text = f"{text}?{'&'.join(pairs)}" if pairs else text
    return text[:-1] + "%20" if text.endswith(" ") else text


def _quoted(text: str, more: str = "") -> str:
    # Names of files may hold bytes that are no UTF-8, which Python keeps as surrogates.
    return quote(text, safe="/:,.~@ ()+\\" + more, errors="surrogateescape")


def _unquoted(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def load(text: str) -> Backbone:
    """Parses a spec string and has its source load the backbone, on the CPU and in eval mode.

    Raises:
        VtabError: Anything that ``parse``, the registry or the source raises.
    """
    from vtab_harness import registry

    spec = parse(text)
    return registry.backbones.get(source_name(spec)).load(spec)


def source_name(spec: BackboneSpec) -> str:
    """Returns the name under which the source of a backbone would be registered; imports no source."""
    from vtab_harness import registry

    prefix = spec.prefix
    if prefix not in registry.backbones.names() and prefix in registry.pretrainer_families():
        # What a pretrainer leaves is a folder in timm's layout, whoever trained it.
        return "local-dir"
    return prefix
