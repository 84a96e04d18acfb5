"""Take pictures of each page of the dashboard."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from playwright.async_api import Browser, Page, async_playwright
from screens_world import World

MINUTES = 60
SETTLED_MS = 900


@dataclass(frozen=True)
class Look:
    """How it is looked at."""

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int


LOOKS = (Look("light", "light", 1360, 860), Look("dark", "dark", 1360, 860), Look("phone", "light", 390, 844))


async def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/screens")
    parser.add_argument("--to", type=Path, default=Path(".screens"), help="where the pictures go (.screens)")
    parser.add_argument("--only", default="", help="pages, separated by commas")
    parser.add_argument("--serve", action="store_true", help="take no pictures, and go on until it is stopped")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        async with World(Path(directory) / "store", MINUTES).serving() as world:
            sys.stdout.write(f"living through {MINUTES} minutes at {world.url}\n")
            await world.live()
            if asked.serve:
                sys.stdout.write(f"{world.url}/ui  token: {world.token}\n")
                await asyncio.Event().wait()
            pages = {name: where for name, where in await places(world) if name in (asked.only or name).split(",")}
            await take(world, pages, asked.to)
    return 0


async def places(world: World) -> list[tuple[str, str]]:
    """Each page: its name, and its address within the dashboard."""
    headers = {"authorization": f"Bearer {world.token}"}
    async with httpx.AsyncClient(base_url=world.url, headers=headers, trust_env=False) as client:

        async def first(path: str) -> str:
            items = (await client.get(path)).raise_for_status().json()["items"]
            return str(items[0]["id"])

        return [
            ("overview", "overview"),
            ("jobs", "jobs?queue=shopify"),
            ("job-dead", f"jobs/{await first('/job?state=dead&worker=charge-card')}"),
            ("job-waiting", f"jobs/{await first('/job?queue=images&state=queued')}"),
            ("job-running", f"jobs/{await first('/job?state=running&worker=export-orders')}"),
            ("queues", "queues"),
            ("queue", "queues/shopify"),
            ("schedules", "schedules"),
            ("schedule", f"schedules/{await first('/schedule')}"),
            ("workers", "workers"),
            ("dead", "dead"),
            ("new", "new?when=again&worker=send-email"),
            ("tokens", "tokens"),
            ("audit", "audit"),
        ]


async def take(world: World, pages: dict[str, str], folder: Path) -> None:
    """Take a picture of each of the pages in each look."""
    folder.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for look in LOOKS:
            page = await signed_in(browser, world, look)
            for name, where in pages.items():
                await page.goto(f"{world.url}/ui#/{where}")
                await page.wait_for_selector("main h1")
                await page.wait_for_timeout(SETTLED_MS)
                path = folder / f"{name}-{look.name}.png"
                await page.screenshot(path=path)
                sys.stdout.write(f"{path}\n")
        await browser.close()


async def signed_in(browser: Browser, world: World, look: Look) -> Page:
    """A page of somebody who may do everything."""
    context = await browser.new_context(
        color_scheme=look.scheme, viewport={"width": look.width, "height": look.height}, reduced_motion="reduce"
    )
    page = await context.new_page()
    await page.goto(f"{world.url}/ui")
    await page.get_by_label("API token").fill(world.token)
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".frame")
    return page


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
