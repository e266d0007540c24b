"""The pages in a real browser: live list, one message, its journey, hostile mail."""

import os
import re
import shutil
import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from support.running import Mailstead, end, start_server

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "page.png"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailstead]:
    """A server with the demo."""
    running = start_server("--data", str(tmp_path_factory.mktemp("pages") / "data"))
    running.wait_for("subject=Welcome")
    yield running
    end(running)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no browser: install the packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--window-size=1100,760",
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    with webdriver.Chrome(options=options, service=service) as running:
        yield running


def url(server: Mailstead, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.ports['console']}{path}"


def catch(server: Mailstead, subject: str, html: str | None = None, text: str = "Plain") -> None:
    """Send a message to the mail catcher."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@b.example", "c@d.example", subject
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    with smtplib.SMTP("127.0.0.1", server.ports["mx"], timeout=20) as client:
        client.send_message(message)
    server.wait_for("subject=" + quote(subject))


def answer(request: urllib.request.Request | str) -> tuple[int, dict[str, str]]:
    """Status and headers, redirects and refusals not followed or raised."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_words: object) -> None:
            return None

    try:
        with urllib.request.build_opener(Stay).open(request, timeout=10) as given:
            return given.status, dict(given.headers)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers)


def see(browser: webdriver.Chrome, text: str) -> None:
    WebDriverWait(browser, 10).until(
        lambda page: text in page.find_element(By.TAG_NAME, "body").text, f"{text} is not there"
    )


def complaints(browser: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


@pytest.mark.slow
def test_new_messages_appear_by_themselves(pages: Mailstead, browser: webdriver.Chrome) -> None:
    complaints(browser)
    browser.get(url(pages))
    see(browser, "Welcome to mailstead")
    catch(pages, "Fresh")
    see(browser, "Fresh")
    rows = browser.find_elements(By.CSS_SELECTOR, "#messages tbody tr")
    assert "Fresh" in rows[0].text
    assert complaints(browser) == []


@pytest.mark.slow
def test_one_message_in_four_views(pages: Mailstead, browser: webdriver.Chrome) -> None:
    html = "<h1>Test Email</h1><p>See <a href='https://example.test/x'>this</a></p>"
    catch(pages, "Four views", html, "The plain text")
    browser.get(url(pages))
    browser.find_element(By.LINK_TEXT, "Four views").click()
    frame = browser.find_element(By.TAG_NAME, "iframe")
    browser.switch_to.frame(frame)
    see(browser, "Test Email")
    browser.switch_to.default_content()
    browser.find_element(By.LINK_TEXT, "Text").click()
    see(browser, "The plain text")
    assert browser.find_element(By.LINK_TEXT, "this").get_attribute("href").endswith("/x")
    browser.find_element(By.LINK_TEXT, "Source").click()
    see(browser, "Content-Type: multipart/alternative")
    browser.find_element(By.LINK_TEXT, "Journey").click()
    see(browser, "250 2.0.0 Ok")


@pytest.mark.slow
def test_hostile_mail_runs_and_loads_nothing(pages: Mailstead, browser: webdriver.Chrome) -> None:
    html = (
        "<script>parent.document.title='owned'</script><img src=x onerror=\"top.location='/'\">"
        "<img src='http://127.0.0.1:9/track.png'><form action='http://127.0.0.1:9/'><input></form>"
        "<a href='javascript:alert(1)'>click</a>"
    )
    catch(pages, "<script>document.title='owned'</script>", html, "<b>not bold</b>")
    browser.get(url(pages))
    see(browser, "<script>document.title='owned'</script>")
    browser.find_element(By.PARTIAL_LINK_TEXT, "<script>").click()
    see(browser, "HTML")
    assert "owned" not in browser.title or browser.title.startswith("<script>")
    assert browser.current_url.startswith(url(pages, "/messages/"))
    browser.find_element(By.LINK_TEXT, "Text").click()
    see(browser, "<b>not bold</b>")
    links = browser.find_elements(By.CSS_SELECTOR, "#view-text a")
    assert not [link for link in links if "javascript" in (link.get_attribute("href") or "")]


@pytest.mark.slow
def test_the_link_of_a_verification_mail_confirms_once(
    pages: Mailstead, browser: webdriver.Chrome
) -> None:
    client = pages.boto3("sesv2")
    client.create_email_identity(EmailIdentity="reader@elsewhere.example")
    [mail] = pages.wait_for("mailbox=reader@elsewhere.example")
    [link] = pages.call(f"messages/{mail['id']}")["links"]
    assert answer(urllib.request.Request(link["url"], method="HEAD"))[0] == 405
    browser.get(link["url"])
    see(browser, "reader@elsewhere.example may send")
    identity = client.get_email_identity(EmailIdentity="reader@elsewhere.example")
    assert identity["VerifiedForSendingStatus"] is True
    browser.get(link["url"])
    see(browser, "Not confirmed")


def test_other_names_and_missing_pages(pages: Mailstead) -> None:
    for path, host, status in (
        ("/", "evil.example", 403),
        ("/messages/999", "localhost", 404),
        ("/nothing", "localhost", 404),
    ):
        request = urllib.request.Request(url(pages, path), headers={"Host": host})
        assert answer(request)[0] == status


def test_a_one_time_link_opens_a_session_once(pages: Mailstead) -> None:
    link = pages.command("env", "--json")
    address = re.search(r'"MAILSTEAD_CONSOLE_URL": "([^"]+)"', link.stdout)
    assert address is not None
    for worked in (True, False):
        status, headers = answer(address[1])
        assert (status, headers["location"]) == (303, "/")
        assert ("HttpOnly" in headers.get("set-cookie", "")) is worked


@pytest.mark.slow
@pytest.mark.skipif("MAILSTEAD_PICTURE" not in os.environ, reason="MAILSTEAD_PICTURE writes it")
def test_the_picture_of_the_readme(pages: Mailstead, browser: webdriver.Chrome) -> None:
    [welcome] = pages.wait_for("subject=Welcome")
    browser.get(url(pages, f"/messages/{welcome['id']}#journey"))
    see(browser, "delivered")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(PICTURE))
