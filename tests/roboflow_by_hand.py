"""Run the local Roboflow for a person: python -m tests.roboflow_by_hand --zip-of FOLDER --port 8765."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from tests.roboflow_server import Project, serve, zip_folder


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a folder as if it were a Roboflow project.")
    parser.add_argument("--zip-of", type=Path, required=True, help="the folder of a dataset")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--workspace", default="acme")
    parser.add_argument("--project", default="parts")
    parser.add_argument("--kind", default="object-detection", help="or classification")
    given = parser.parse_args()
    project = Project(zip_folder(given.zip_of), given.workspace, given.project, given.kind)
    with serve(project, port=given.port) as server:
        for name, value in server.env().items():
            print(f"export {name}={value}")
        print(f"cv pull-dataset {given.workspace}/{given.project}")
        print(f"cv push-dataset NAME --project {given.workspace}/{given.project}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
