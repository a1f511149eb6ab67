"""Command-line flags made from the configuration: one for every value, by the value's own name."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from motionfit.training.config import ConfigError, RunConfig


def with_config_options(
    kind: type[RunConfig],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command a flag for each value of a configuration.

    Those that were given reach it as ``overrides``, a mapping of sections to names to values.
    """
    fields = _fields(kind)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def with_flags(**arguments: Any) -> None:
            overrides: dict[str, dict[str, Any]] = {}
            for name, (section, field) in fields.items():
                value = arguments.pop(name)
                if value is not None and value != []:
                    overrides.setdefault(section, {})[name] = _value(value, field=field, name=name)
            command(**arguments, overrides=overrides)

        own = [
            parameter
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.name != "overrides"
        ]
        flags = [
            _flag(name, section=section, field=field) for name, (section, field) in fields.items()
        ]
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *flags)]
        with_flags.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_flags.__annotations__ = {one.name: one.annotation for one in parameters}
        with_flags.__doc__ = command.__doc__
        return with_flags

    return decorate


def _fields(kind: type[RunConfig]) -> Mapping[str, tuple[str, FieldInfo]]:
    """Each value's name -> its section and itself. No two sections share a name."""
    return {
        name: (section, field)
        for section, table in kind.model_fields.items()
        for name, field in typing.cast("type[BaseModel]", table.annotation).model_fields.items()
    }


def _flag(name: str, *, section: str, field: FieldInfo) -> inspect.Parameter:
    flag = name.replace("_", "-")
    option = typer.Option(
        f"--{flag}" + (f"/--no-{flag}" if field.annotation is bool else ""),
        help=f"{field.description}{_default_sentence(field)}",
        rich_help_panel=section,
        min=_bound(field, "ge"),
        max=_bound(field, "le"),
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[_flag_type(field.annotation) | None, option],
    )


def _flag_type(annotation: Any) -> Any:
    origin = typing.get_origin(annotation)
    if origin in (tuple, dict):
        return list[str]
    if origin in (typing.Union, types.UnionType):
        return next(one for one in typing.get_args(annotation) if one is not types.NoneType)
    return annotation if origin is Literal or annotation in (int, float, str, bool, Path) else str


def _value(value: Any, *, field: FieldInfo, name: str) -> Any:
    if typing.get_origin(field.annotation) is not dict:
        return value
    pairs = [text.partition("=") for text in value]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        raise ConfigError(f"--{name.replace('_', '-')} is written name=value, got {wrong[0]!r}")
    return {key: number for key, _, number in pairs}


def _bound(field: FieldInfo, kind: str) -> float | None:
    bounds = (getattr(constraint, kind, None) for constraint in field.metadata)
    return next((bound for bound in bounds if bound is not None), None)


def _default_sentence(field: FieldInfo) -> str:
    # The flag's own default is "not given", so typer cannot show this one.
    default = None if field.is_required() else field.default
    if default in (None, (), {}):
        return ""
    if isinstance(default, bool):
        return f" Default: {'on' if default else 'off'}."
    shown = f"{default:g}" if isinstance(default, int | float) else default
    return f" Default: {shown}."
