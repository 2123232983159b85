"""`cv explain`: what a classifier looks at."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from .options import DeviceOption, JsonOption, WorkspaceOption, print_json


def explain(
    source: Annotated[str, typer.Argument(help="A picture, a folder, or a pattern in quotes such as 'shots/*.jpg'.")],
    weights: Annotated[
        str, typer.Option("--weights", help="The classifier: its name (`cv weights` lists them) or its folder.")
    ],
    class_name: Annotated[
        str | None, typer.Option("--class", help="Explain this class. Default: the one that the model finds likeliest.")
    ] = None,
    method: Annotated[
        Literal["gradcam", "gradcam++"],
        typer.Option("--method", help="How to look; gradcam++ shows several things of one class better."),
    ] = "gradcam",
    layer: Annotated[
        str | None,
        typer.Option("--layer", help="Look at this block or layer, such as block4. Default: the backbone's last one."),
    ] = None,
    features: Annotated[
        bool, typer.Option("--features", help="Also draw what each block makes of the first four pictures.")
    ] = False,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
) -> None:
    """Show which parts of a picture spoke for a classifier's answer, and what the network is made of.

    Everything is written into a new folder under runs/: each picture beside itself under a map of what spoke for the
    class, and one page, explain.html, with the pictures and the network. A picture that cannot be read is skipped and
    named, and the exit code is then 5. With --json there is one line per picture on standard output.

    Example: cv explain photos/ --weights flowers-vgg16 --features
    """
    from ..classify.explain.run import ExplainConfig, explain
    from ..core.progress import console, say
    from ..core.words import many
    from ..core.workspace import Workspace
    from ..predict.sources import open_source
    from ..predict.summary import print_skipped
    from ..weights.bundle import open_bundle

    place = Workspace.find(workspace)
    config = ExplainConfig(
        method=method, layer=layer, class_name=class_name, features=features, device=device,
        on_record=print_json if as_json else None
    )  # fmt: skip
    done = explain(open_source(source), open_bundle(weights, place), place, config)
    say(f"{many(done.pictures, 'picture')} explained at the layer {done.layer}")
    print_skipped(done.skipped, console)
    say(f"written: {done.page}")
    say("next: open that page; if the marks lie beside the thing itself, the model may have learned the background")
    if done.skipped:
        raise typer.Exit(5)
