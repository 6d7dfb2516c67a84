"""The example runs from beginning to end."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_the_example_notebook_runs():
    notebook = nbformat.read(EXAMPLES / "fees.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": EXAMPLES}}).execute()
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", []))
