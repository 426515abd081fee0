"""Load a state dict and know what was loaded: a report first, then all or nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from helpers import load_checks
from helpers.all_or_nothing import all_or_nothing
from helpers.load_checks import PREFIXES
from helpers.load_reports import LoadReport, make_report


def load_report(
    model: nn.Module, state_dict: Mapping[str, Tensor], prefixes: Sequence[str] = ()
) -> LoadReport:
    """Tell what of a state dict would load into a model, without loading it.

    Args:
        model: any ``nn.Module``. Nothing that loads is run, neither custom code nor
            hooks. But ``model.state_dict()`` is, with whatever hooks it has.
        state_dict: names and tensors of any shape, dtype and device.
        prefixes: parts of names to look past, such as ``("module.", "_orig_mod.")``.
            Without them, names are compared as ``load_state_dict`` compares them.

    Returns:
        A :class:`LoadReport`.

    Raises:
        TypeError: if an argument is of the wrong kind, or a key is not a string.
        ValueError: if a prefix is not one name and a dot.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> wrapped = {f"module.{k}": v for k, v in model.state_dict().items()}
        >>> load_report(model, wrapped).share
        0.0
        >>> print(load_report(model, wrapped, prefixes=["module."]))
        status       numbers  name
        loaded             2  weight (module.*)
        loaded             1  bias (module.*)
        loaded 3 of 3 = 100.0%

    Source: `torch.nn.Module.load_state_dict
    <https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html>`_.
    """
    given = load_checks.require_arguments("load_report", model, state_dict, prefixes)
    return make_report(model, given, prefixes)


def load_matching(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    min_share: float = 1.0,
    prefixes: Sequence[str] = PREFIXES,
) -> LoadReport:
    """Load what fits, whatever wrapper's prefix it carries; or nothing, and say why.

    Either every number that the report calls loaded holds the state dict's value
    afterwards, up to rounding if dtypes differ, or the model is as it was, also after
    an interrupt. Values are copied in place, so that an optimizer goes on with the same
    parameters. See :func:`helpers.all_or_nothing.all_or_nothing` for what can be undone.
    Costs memory for three more copies of the model while it runs.

    Args:
        model: any ``nn.Module``.
        state_dict: names and tensors. It is not changed, except that tensors which
            are the model's own, as in ``model.state_dict()``, change with the model.
        min_share: refuse below this share of the model's numbers, from 0 to 1.
        prefixes: parts of names to look past, in the model and in the state dict.

    Returns:
        The :class:`LoadReport` of what was loaded.

    Raises:
        TypeError: if an argument is of the wrong kind, or a key is not a string.
        ValueError: if less than ``min_share`` fits, or an argument is out of range.
        RuntimeError: if the model's own loading code fails or changes what is loaded,
            or if two entries share memory and are given different values.

    Example:
        >>> import torch
        >>> model, trained = nn.Linear(2, 1), nn.Linear(2, 1)
        >>> wrapped = {f"module.{k}": v for k, v in trained.state_dict().items()}
        >>> load_matching(model, wrapped).share, torch.equal(model.bias, trained.bias)
        (1.0, True)
    """
    load_checks.require_min_share(min_share)
    given = load_checks.require_arguments("load_matching", model, state_dict, prefixes)
    metadata = getattr(state_dict, "_metadata", None)
    with all_or_nothing(model):  # the report, too, since state_dict() may have hooks
        report = make_report(model, given, prefixes)
        if report.share < min_share:
            advice = _advice(model, given, prefixes, report)
            raise ValueError(_refusal(report, min_share, advice))
        fitting = [row for row in report.rows if row.status == "loaded"]
        # Copies, since given values may lie in the memory that is written to; and
        # copies of these, since custom code may write to what it is handed.
        chosen = {row.name: load_checks.copied(given[row.source]) for row in fitting}
        handed = OrderedDict((k, load_checks.copied(v)) for k, v in chosen.items())
        if isinstance(metadata, Mapping):  # versions, by which layers know old files
            handed._metadata = load_checks.renamed(metadata, fitting)
        model.load_state_dict(handed, strict=False)
        load_checks.require_loaded(model, chosen)
    return report


def _advice(model: nn.Module, given: Mapping, prefixes, report: LoadReport) -> str:
    """Say where inside a checkpoint a state dict lies that fits better, if one does."""
    loaded = {
        key: make_report(model, value, prefixes).loaded
        for key, value in given.items()
        if isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
    }
    best = max(loaded.values(), default=0)
    if best <= report.loaded:
        return ""
    keys = [f"state_dict[{key!r}]" for key in loaded if loaded[key] == best]
    return f"Is it {' or '.join(keys[:3])} that you mean? "


def _refusal(report: LoadReport, min_share: float, advice: str) -> str:
    """Say what does not fit, three names of a kind at most, and what to do."""
    parts = []
    for status in ("missing", "shape", "unusable", "conflict", "unexpected"):
        rows = [row for row in report.rows if row.status == status]
        why = " ({})" if status == "unusable" else ""
        names = [row.name + why.format(row.note) for row in rows]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            parts.append(f"{status}: {', '.join(names[:3])}{more}")
    return (
        f"load_matching: state_dict fits {report.percent()} of the model, less than "
        f"min_share={min_share} ({'; '.join(parts)}). Nothing was loaded. {advice}"
        "Rename its keys, or pass a smaller min_share if that is what you want."
    )
