"""Ctrl-C ends a command with one line and exit code 130, whenever it comes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

CV = Path(sys.executable).with_name("cv")


def test_ctrl_c_while_a_command_works(tmp_path: Path) -> None:
    import socketserver
    import threading

    asked = threading.Event()

    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.set()
            self.request.recv(1 << 16)
            self.request.recv(1)  # until the other side goes

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silent) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        environment = {
            "API_URL": address,
            "ROBOFLOW_API_KEY": "abcdefgh12345678",
            "HOME": str(tmp_path),
            "PATH": "/bin",
        }
        process = subprocess.Popen(
            [CV, "pull-dataset", "acme/parts/2"], cwd=tmp_path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        out, talk = process.communicate(timeout=60)
        server.shutdown()
    assert process.returncode == 130, talk
    assert out == ""
    assert talk.splitlines()[-1] == "Interrupted."


def test_ctrl_c_while_python_is_still_loading(tmp_path: Path) -> None:
    """The very moment is made certain: the interrupt comes from inside the import of the command line."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from lensmith.cli.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
