"""A command that takes one model refuses a second, where click would quietly take the last."""

from __future__ import annotations

import click
from typer.core import TyperCommand

from ..core.errors import UsageError


class OneModelCommand(TyperCommand):
    """Every command of `cv`: a single --weights may be given once."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As always, after a look at how often --weights was given.

        Raises:
            UsageError: more than once, and the command takes one model.
        """
        model = next((one for one in self.params if one.name == "weights" and isinstance(one, click.Option)), None)
        if model and not model.multiple and not ctx.resilient_parsing:
            _, _, given = self.make_parser(ctx).parse_args(list(args))
            if given.count(model) > 1:
                raise UsageError(
                    f"cv {ctx.info_name} takes one --weights, and was given {given.count(model)}.",
                    where="--weights",
                    next_step="run it once for each; cv predict and cv evaluate take several classifiers",
                )
        return super().parse_args(ctx, args)
