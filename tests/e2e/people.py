"""What a person does in the hub's pages, step by step, in a browser."""

from __future__ import annotations

import re
import time

from playwright.sync_api import Page, expect

STARTING = 180_000  # ms; a first server on a busy machine


def sign_up(page: Page, name: str, password: str) -> None:
    page.goto("/hub/signup")
    page.fill("#username_input", name)
    page.fill("#password_input", password)
    page.fill("#password_confirmation_input", password)
    with page.expect_navigation():
        page.click("#signup_submit")


def log_in(page: Page, name: str, password: str, to: str = "/hub/home") -> None:
    page.goto(f"/hub/login?next={to}")
    if "/hub/login" not in page.url:
        return  # logged in already
    page.fill("#username_input", name)
    page.fill("#password_input", password)
    with page.expect_navigation():
        page.click("#login_submit")


def approve(page: Page, name: str) -> None:
    """By an administrator who is logged in."""
    page.goto("/hub/authorize")
    row = page.locator(f'tr[data-username="{name}"]')
    row.get_by_role("button", name="Approve").click()
    expect(row).to_contain_text("approved")


def start_server(page: Page, name: str) -> float:
    """Starts the person's notebook server; gives the seconds until JupyterLab was there."""
    began = time.monotonic()
    page.goto("/hub/spawn")
    page.wait_for_url(re.compile(rf"/user/{name}/lab"), timeout=STARTING)
    expect(page.locator("#jp-main-dock-panel")).to_be_visible(timeout=STARTING)
    expect(page.locator("#jupyterlab-splash")).to_have_count(0, timeout=STARTING)
    return time.monotonic() - began


def run_notebook(page: Page, name: str, path: str, minutes: float = 5) -> dict:
    """Opens a notebook in JupyterLab, runs all cells; gives the saved notebook when every cell ran."""
    # Reset: else JupyterLab opens the notebooks of last time too, and the menu may speak of one of them.
    page.goto(f"/user/{name}/lab/tree/{path}?reset")
    expect(page.locator(".jp-NotebookPanel-toolbar")).to_be_visible(timeout=STARTING)
    expect(page.locator("#jupyterlab-splash")).to_have_count(0, timeout=STARTING)
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=STARTING)
    run_all_cells(page)
    deadline = time.monotonic() + minutes * 60
    while time.monotonic() < deadline:
        page.wait_for_timeout(3000)
        page.keyboard.press("Control+s")
        page.wait_for_timeout(500)
        notebook = page.request.get(f"/user/{name}/api/contents/{path}").json()["content"]
        cells = [
            cell
            for cell in notebook["cells"]
            if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
        ]
        if errors(cells) or all(cell["execution_count"] for cell in cells):
            return notebook
    raise AssertionError(f"{path} did not run to its end in {minutes} minutes")


def run_all_cells(page: Page) -> None:
    """As a person does: while the page is not ready yet the command does nothing, and one clicks again."""
    shown = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    started = shown.locator(".jp-InputPrompt").filter(has_text=re.compile(r"\[(\*|\d+)\]"))
    for _ in range(20):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_timeout(3000)
        if started.count():
            return
    raise AssertionError("JupyterLab ran no cell within a minute")


def errors(cells: list[dict]) -> list[str]:
    """The errors in the cells' outputs, as `name: value`."""
    return [
        f"{output['ename']}: {output['evalue']}"
        for cell in cells
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


def api_token(page: Page, name: str) -> str:
    """A token of the hub for the person who is logged in, as its page /hub/token makes them."""
    page.goto("/hub/token")
    page.fill("#token-note", "tests")
    page.get_by_role("button", name=re.compile("Request new API token", re.I)).click()
    shown = page.locator("#token-result")
    expect(shown).to_be_visible()
    return shown.inner_text().strip()
