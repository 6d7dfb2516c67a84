#!/usr/bin/env python3
"""A report in a real browser: nothing on its console, nothing asked of anybody, readable on every screen and on paper.

    check.py --sim target/release/labman-sim --work FOLDER RESULTS...
    check.py --work FOLDER PAGE.html...                                 looks at pages that are there

Pictures of each stay in the folder: light, dark, of a telephone, and as paper. Last line: `N passed, N failed`.
"""

import argparse
import pathlib
import subprocess
import sys
import traceback

from browser import browser

# What the checks must find: a page that does all that a report may not.
WRONG = """<!DOCTYPE html><title>wrong</title><body style="width: 3000px"><i id="a"></i><i id="a"></i>
<div class="drawing"><svg role="img" width="10" height="10"><text x="50" y="50">out</text></svg></div>
<table><tr><td>1</td></tr></table><a href="#nowhere">on</a>
<img src="http://127.0.0.1:9/pixel.png"><script>console.error("no"); undefined.nothing</script>"""

# Each yields what is wrong, as texts.
IN_THE_PAGE = {
    "runs no script": "[...document.scripts].map(it => it.outerHTML)",
    "says what each drawing shows": """[...document.querySelectorAll('svg[role=img]')]
        .filter(it => !it.querySelector(':scope > title')?.textContent || !it.querySelector(':scope > desc')?.textContent)
        .map(it => it.outerHTML.slice(0, 200))""",
    "has headers in each table": """[...document.querySelectorAll('table')]
        .filter(it => !it.caption || !it.querySelector('thead th[scope=col]')).map(it => it.textContent.slice(0, 200))""",
    "uses no id twice": """[...document.querySelectorAll('[id]')].map(it => it.id)
        .filter((id, at, all) => all.indexOf(id) !== at)""",
    "links only to what is there": """[...document.querySelectorAll('a')].map(it => it.getAttribute('href'))
        .filter(to => !to.startsWith('#') || !document.getElementById(to.slice(1)))""",
    "keeps every text of a drawing inside it": """[...document.querySelectorAll('.drawing svg text')].filter(it => {
        const text = it.getBoundingClientRect(), all = it.ownerSVGElement.getBoundingClientRect();
        return text.width && (text.left < all.left - 1 || text.right > all.right + 1 || text.bottom > all.bottom + 1)
        }).map(it => it.textContent)""",
}
WIDTHS = {"light": (1100, False), "dark": (1100, True), "telephone": (390, False)}


def looked_at(tab, page, pictures):
    """What is wrong with a page, by sentence."""
    tab.screen(1100)
    tab.open(page.resolve().as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
    found = {name: tab.evaluate(expression) for name, expression in IN_THE_PAGE.items()}
    for name, (width, dark) in WIDTHS.items():
        tab.screen(width, dark=dark)
        scrolls = tab.evaluate("document.documentElement.scrollWidth")
        found[f"is no wider than the screen ({name})"] = [f"{scrolls} of {width}"] if scrolls > width else []
        tab.picture(pictures / f"{page.stem}-{name}.png")
    tab.screen(1100)
    tab.print(pictures / f"{page.stem}.pdf")
    tab.listen(0.5)
    found["says nothing on the console"] = tab.troubles
    found["asks nobody for anything"] = tab.requests
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", help="labman-sim, which makes the pages of results")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="where pages and pictures go")
    parser.add_argument("results", nargs="+", type=pathlib.Path, help="results of a sweep, or a page")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    passed = failed = 0

    def told(sentence, wrong):
        nonlocal passed, failed
        passed, failed = passed + (not wrong), failed + bool(wrong)
        print(f"{'FAIL ' if wrong else 'ok   '} {sentence}", flush=True)
        for what in wrong[:5]:
            print(f"      {what}")

    try:
        with browser() as tab:
            bad = args.work / "wrong.html"
            bad.write_text(WRONG)
            blind = [name for name, wrong in looked_at(tab, bad, args.work).items() if not wrong]
            told("a page that does all that a report may not is found out", blind)
            for result in args.results:
                page = result
                if result.is_dir():
                    page = args.work / f"{result.resolve().name}.html"
                    subprocess.run([args.sim, "report", result, "--out", page], check=True, stdout=subprocess.DEVNULL)
                for sentence, wrong in looked_at(tab, page, args.work).items():
                    told(f"{page.name} {sentence}", wrong)
    except Exception:
        failed += 1
        traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
