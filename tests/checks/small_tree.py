"""A checker run on a small tree of its own."""
import pathlib
import subprocess
import tempfile


def run_on_tree(checker, files):
    """Exit status and output of `checker --root` on a tree of these files, path to text."""
    with tempfile.TemporaryDirectory(prefix="shoal-check-") as root:
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([checker, "--root", root], capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout + done.stderr
