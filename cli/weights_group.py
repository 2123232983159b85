"""`cv weights` and what comes after it."""

from __future__ import annotations

import click
import typer
from typer.core import TyperGroup

from .options import JsonOption, WorkspaceOption
from .weights import find_workspace, list_weights, print_list, show_weights
from .weights_change import remove_weights, rename_weights, verify_weights
from .weights_export import export_weights
from .weights_import import import_weights


class _WeightsGroup(TyperGroup):
    """`cv weights NAME` is `cv weights show NAME`, as it always was."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As always; a word that stands alone and is no sub-command is a model's name."""
        alone = len(args) == 1 or (len(args) > 1 and args[1].startswith("-"))
        if alone and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


weights_app = typer.Typer(cls=_WeightsGroup, invoke_without_command=True, no_args_is_help=False)


@weights_app.callback()
def weights(context: typer.Context, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the models; show, verify, rename or remove one; pack one into a zip, or take one in.

    `cv weights NAME` is `cv weights show NAME`.

    Example: cv weights
    """
    context.obj = {"workspace": workspace, "as_json": as_json}
    if context.invoked_subcommand is None:
        print_list(find_workspace(context, None), as_json=as_json)


_COMMANDS = {
    "list": list_weights,
    "show": show_weights,
    "verify": verify_weights,
    "rename": rename_weights,
    "remove": remove_weights,
    "export": export_weights,
    "import": import_weights,
}
for _name, _command in _COMMANDS.items():
    weights_app.command(_name)(_command)
