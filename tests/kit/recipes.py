"""The files of docs/clients-guide.md, written out and made runnable as an application's build would."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/clients-guide.md"
MODULES = ROOT / "tests/clients/sdk/node_modules"
ESBUILD = MODULES / ".bin/esbuild"
CLIENT = ROOT / "sidecar/client/js"
FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)

VUE_TO_JS = """
import { readFileSync, writeFileSync } from "node:fs";
import { compileScript, parse } from "vue/compiler-sfc";
const { descriptor } = parse(readFileSync(process.argv[2], "utf8"));
const isCustomElement = (tag) => tag === "sse-status";
const templateOptions = { compilerOptions: { isCustomElement } };
const { content } = compileScript(descriptor, { id: "recipe", inlineTemplate: true, templateOptions });
writeFileSync(process.argv[3], content);
"""
MOUNTS = {
    "react": """
import { StrictMode, createElement } from "react";
import { createRoot } from "react-dom/client";
import { Chat } from "./Chat.jsx";
createRoot(document.getElementById("root")).render(createElement(StrictMode, null, createElement(Chat)));
""",
    "vue": """
import { createApp } from "vue";
import Chat from "./Chat.vue.js";
createApp(Chat).mount("#root");
""",
}
MOUNTED = (
    '<!doctype html><html lang="en"><title>{0}</title><div id="root"></div>'
    '<script type="module" src="{0}.js"></script>'
)


def write_out(folder: Path) -> list[str]:
    """Write the guide's files into a folder, and return their names."""
    files: dict[str, str] = dict(FILE.findall(GUIDE.read_text(encoding="utf-8")))
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return [*files]


def build(folder: Path) -> None:
    """Bundle the pages of the frameworks: ``react.html`` and ``vue.html``, each with its script."""
    (folder / "node_modules").symlink_to(MODULES)
    (folder / "vue.mjs").write_text(VUE_TO_JS, encoding="utf-8")
    _run(folder, "node", "vue.mjs", "Chat.vue", "Chat.vue.js")
    for name, mount in MOUNTS.items():
        (folder / f"{name}.entry.jsx").write_text(mount, encoding="utf-8")
        (folder / f"{name}.html").write_text(MOUNTED.format(name), encoding="utf-8")
        _run(folder, str(ESBUILD), f"{name}.entry.jsx", *_options(name))


def _options(name: str) -> list[str]:
    return [
        "--bundle",
        "--jsx=automatic",
        "--format=esm",
        "--target=es2022",
        '--define:process.env.NODE_ENV="development"',
        f"--alias:@sse-sidecar/client={CLIENT}",
        f"--outfile={name}.js",
        "--log-level=error",
    ]


def _run(folder: Path, *command: str) -> None:
    ended = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
