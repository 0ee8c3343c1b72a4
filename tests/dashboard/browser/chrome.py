# SPDX-License-Identifier: Apache-2.0
"""A real browser, and what a person does with it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axe_selenium_python import Axe
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

#: Where screenshots go that the documentation shows; nowhere unless it is named.
SCREENSHOTS = os.environ.get("NOVA_QOS_SCREENSHOTS")
_WAIT_S = 60
#: axe-core computes for half a minute where a virtual machine boots beside it.
_SCRIPT_S = 180
#: Findings of axe-core that a person cannot work around.
_SERIOUS = ("serious", "critical")
#: Of Horizon's own frame and parts, as they are on all its pages; its themes choose the colours.
_HORIZONS = (".topbar", "#sidebar-accordion", ".openstack-panel", ".navbar", "#footer",
             ".table_search", ".dropdown-toggle", ".modal-header .close", ".page-breadcrumb")
_HORIZONS_RULES = {each: {"enabled": False} for each in ("color-contrast", "html-has-lang")}


class Chrome:
    """A browser of one's own, without sessions; ``url`` is where Horizon serves."""

    def __init__(self, url: str) -> None:
        os.environ["SE_OFFLINE"] = "true"
        options = webdriver.ChromeOptions()
        for argument in (
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                "--window-size=1400,1000", "--force-device-scale-factor=1",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(
            options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        self.driver.set_script_timeout(_SCRIPT_S)
        self.url = url

    def log_in(self, user: str, password: str) -> "Chrome":
        """As a person does it."""
        self.driver.get(f"{self.url}/auth/login/")
        self.one("#id_username").send_keys(user)
        self.one("#id_password").send_keys(password)
        self.one("#loginBtn").click()
        # whoever goes elsewhere before the first page is whole may find themselves back on it
        self.wait(lambda: "/auth/login" not in self.driver.current_url and self.driver
                  .execute_script("return document.readyState") == "complete", "logged in")
        self.one("#sidebar-accordion")
        return self

    def open(self, path: str) -> None:
        """Go to a page."""
        self.driver.get(f"{self.url}{path}")

    def wait(self, condition: Any, what: str, seconds: float = _WAIT_S) -> Any:
        """What the condition answers as soon as that is something."""
        try:
            return WebDriverWait(self.driver, seconds, 0.1, (Exception,)).until(
                lambda _: condition())
        except TimeoutException as error:
            raise AssertionError(f"not {what}; the page: {self.text[-600:]}") from error

    def one(self, selector: str) -> Any:
        """The visible element, as soon as it is there."""
        return self.wait(lambda: next(
            each for each in self.driver.find_elements(By.CSS_SELECTOR, selector)
            if each.is_displayed()), selector)

    def count(self, selector: str) -> int:
        """How many there are now."""
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    @property
    def text(self) -> str:
        """What a person reads."""
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def row(self, row_id: str) -> Any:
        """A row of a table."""
        return self.one(f'tr[data-object-id="{row_id}"]')

    def row_text(self, row_id: str) -> str:
        """What stands in a row, which Horizon may replace by a new one at any moment."""
        return str(self.wait(lambda: self.row(row_id).text, row_id))

    def press(self, *keys: str) -> None:
        """Keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def tab_to(self, selector: str, most: int = 400) -> None:
        """Press the tabulator until that element has the focus."""
        for _ in range(most):
            if self.driver.execute_script(
                    "return document.activeElement.matches(arguments[0])", selector):
                return
            self.press(Keys.TAB)
        raise AssertionError(f"the tabulator does not reach {selector}")

    def fill(self, field: str, value: str) -> None:
        """Replace what stands in a field of the dialog."""
        element = self.one(f'.modal [name="{field}"]')
        element.clear()
        element.send_keys(value)

    def choose(self, field: str, label: str) -> None:
        """An entry of a selection of the dialog, which Horizon's themes may draw on their own."""
        element = self.driver.find_element(By.CSS_SELECTOR, f'.modal select[name="{field}"]')
        self.driver.execute_script(
            "arguments[0].value = arguments[1]; jQuery(arguments[0]).trigger('change')", element,
            next(each.get_attribute("value") for each in Select(element).options
                 if label in (each.get_attribute("text") or "")))

    def submit(self) -> None:
        """The dialog's button."""
        self.one('.modal input[type="submit"]').click()

    def previewed(self) -> str:
        """Send the dialog the first time; what it shows."""
        self.submit()
        return str(self.one("#qos_preview").text)

    def applied(self) -> str:
        """Send the dialog the second time; what the next page says."""
        self.submit()
        return str(self.one(".messages .alert, .alert-success, .alert-info").text)

    def axe(self) -> list[str]:
        """What axe-core finds serious in ours."""
        Axe(self.driver).inject()
        found = self.driver.execute_async_script(
            "axe.run(arguments[0], arguments[1]).then(arguments[2])",
            {"exclude": [[each] for each in _HORIZONS if self.count(each)]},
            {"rules": _HORIZONS_RULES})
        return [f"{each['id']}: {node['html'][:200]}" for each in found["violations"]
                if each["impact"] in _SERIOUS for node in each["nodes"]]

    def console(self) -> list[str]:
        """What went wrong in the browser since somebody has asked last."""
        return [each["message"] for each in self.driver.get_log("browser")
                if each["level"] == "SEVERE"]

    def requested(self) -> Iterator[str]:
        """The addresses that were asked since somebody has asked last."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                yield message["params"]["request"]["url"]

    def shoot(self, name: str, height: int = 700) -> None:
        """A picture of the page for the documentation."""
        if SCREENSHOTS:
            self.driver.set_window_size(1400, height)
            self.driver.save_screenshot(str(Path(SCREENSHOTS) / f"dashboard-{name}.png"))
            self.driver.set_window_size(1400, 1000)
