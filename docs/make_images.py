"""Makes docs/images/demo.svg from what the demo really prints: `python docs/make_images.py [DOCUMENTS]`."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

DOCS = Path(__file__).resolve().parent
WIDTH = 118
PAPER, INK = (24, 26, 31), (214, 217, 222)
RED, GREEN, YELLOW = (224, 108, 98), (126, 188, 122), (214, 178, 98)
BLUE, MAGENTA, CYAN = (110, 162, 220), (190, 140, 200), (100, 186, 190)
THEME = TerminalTheme(PAPER, INK, [PAPER, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN, INK])
#: a plain SVG: no font is fetched from anywhere
FORMAT = """<svg class="terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
  line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" rx="8" fill="#181a1f"/>
<g fill="#3a3d45"><circle cx="20" cy="20" r="6"/><circle cx="40" cy="20" r="6"/><circle cx="60" cy="20" r="6"/></g>
<g transform="translate({terminal_x}, {terminal_y})">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def demo(documents: str) -> tuple[str, str]:
    """Run the demo; its messages and its summary. Ends the program if anything in it failed."""
    command = [sys.executable, "-m", "offloader", "demo", "--documents", documents]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        sys.exit(f"the demo ended with {done.returncode}; no picture was made\n{done.stdout}{done.stderr}")
    return done.stderr, done.stdout


def styled(line: str) -> Text:
    text = Text(line)
    text.highlight_regex(r"✓", "green")
    text.highlight_regex(r"✗|^  !.*", "red")
    text.highlight_regex(r"^  (Moved|Stayed|Failed|Saves|Calls)\b", "bold")
    text.highlight_regex(r"\b(BLOCKED|REVIEW|KEEP) [\w-]+", "yellow")
    return text


def main() -> None:
    documents = sys.argv[1] if len(sys.argv) > 1 else "200"
    messages, summary = demo(documents)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ offloader demo --documents {documents}", "bold"))
    for line in messages.splitlines():
        if line.startswith("Opening "):
            console.print(Text(line, "dim"))
    for line in summary.rstrip().splitlines():
        console.print(styled(line), overflow="fold")
    target = DOCS / "images" / "demo.svg"
    target.parent.mkdir(exist_ok=True)
    console.save_svg(str(target), title="offloader demo", theme=THEME, code_format=FORMAT, unique_id="demo")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
