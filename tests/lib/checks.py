"""Checks of real daemons, each a sentence: what a script says while it works through them, and how it ends."""

import sys
import traceback


def work_through(mesh, checks, end):
    """Starts the mesh and does its checks. Last line: `N passed, N failed`. The exit code."""
    results = []
    try:
        mesh.start()
        for sentence, check in checks:
            try:
                check()
                results.append(True)
            except Exception:
                results.append(False)
                traceback.print_exc(file=sys.stdout)
            print(f"{'ok   ' if results[-1] else 'FAIL '} {sentence}", flush=True)
    except Exception:
        results.append(False)
        traceback.print_exc(file=sys.stdout)
    finally:
        mesh.end(end)
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if results and all(results) else 1
