"""The page of `cv live`: what the browser gets."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

PAGE_CSS = """
:root { color-scheme: dark; }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; background: #14161a; color: #e8e8e8;
  font: 15px/1.5 system-ui, sans-serif; }
header, footer { padding: 0.6rem 1rem; display: flex; flex-wrap: wrap; gap: 0.4rem 1rem; align-items: center; }
h1 { font-size: 1rem; margin: 0; font-weight: 600; }
#status { color: #b8c0cc; font-variant-numeric: tabular-nums; }
main { flex: 1; min-height: 0; display: flex; justify-content: center; align-items: center; background: #000; }
img { max-width: 100%; max-height: 78vh; min-width: min(480px, 100%); object-fit: contain; }
button { font: inherit; color: inherit; background: #2a2f38; border: 1px solid #454c59; border-radius: 6px;
  padding: 0.3rem 0.7rem; cursor: pointer; }
button:hover, button:focus-visible { background: #3a4250; }
kbd { font: inherit; font-weight: 700; color: #9fd0ff; }
.ended img { opacity: 0.4; }
"""

PAGE_JS = """
"use strict";
const status = document.getElementById("status");
async function press(key) {
  await fetch("key", { method: "POST", headers: { "X-Lensmith": "key" }, body: key });
}
for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", () => { press(button.value); button.blur(); });
}
const keys = new Set([...document.querySelectorAll("button")].map((button) => button.value));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keys.has(event.key)) return;
  event.preventDefault();
  press(event.key);
});
function ended() {
  status.textContent = "ended";
  document.body.classList.add("ended");
}
async function look() {
  try {
    const state = await (await fetch("state")).json();
    status.textContent = state.status;
  } catch { return ended(); }
  setTimeout(look, 500);
}
look();
"""

_BUTTONS = {"q": "q", "space": " ", "s": "s", "u": "u", "?": "?"}


def page_html(title: str, keys: Sequence[tuple[str, str]]) -> str:
    """The page; a button for each key.

    Args:
        title: What stands above the picture.
        keys: What a key is called and what it does, from `keys.HELP`.
    """
    buttons = []
    for key, does in keys:
        for one in key.split():
            tip = escape(does)
            label = escape(does.partition(",")[0] if len(key.split()) == 1 else "threshold")
            value = escape(_BUTTONS.get(one, one))
            buttons.append(f'<button value="{value}" title="{tip}"><kbd>{escape(one)}</kbd> {label}</button>')
    name = escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="page.css"><script src="page.js" defer></script></head>\n'
        f'<body><header><h1>{name}</h1><span id="status">starting</span></header>\n'
        f'<main><img src="stream" alt="what the model sees, live"></main>\n<footer>{"".join(buttons)}</footer>'
        "</body></html>\n"
    )
