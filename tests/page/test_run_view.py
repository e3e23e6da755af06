"""One run: whatever it holds is shown, nothing of it is obeyed, and the address keeps the view."""

import contextlib
import re
import shlex
import socket
import threading
from urllib.parse import quote

import pytest

from commands import runstore
from runstore import Store
from runstore.storage.files.output import LETTERS, OutputFile

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

# More than a browser could scroll with a line of its own for each.
LINES = 350_000
FEW_LINES = 2_000
SCRIPTED = "scripted"
SCRIPT = f"<script>document.title = top.document.title = '{SCRIPTED}'</script>"
NOTES = f"""
# Plan

A **wider** model. [paper](https://example.org) [trap](javascript:document.title='{SCRIPTED}')

<img src=x onerror="document.title='{SCRIPTED}'">{SCRIPT}

![remote](https://example.org/pixel.png)
"""
SVG = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'>{SCRIPT}<circle r='9'/></svg>"
# Rules about the whole of a page, and those that hold in one of its colours and not in the other.
OF_PAGES = ["duplicate-id-aria", "heading-order", "landmark-unique", "region"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]
PARTS = ["", "params", "metrics", "output", "code", "environment", "files", "media", "history"]


def printed(store, run, lines):
    """Put lines where the output of a run is kept."""
    folder = store.path / "spool"
    folder.mkdir(exist_ok=True, mode=0o700)
    (folder / f"{run.uid}.{0:020d}.output").write_bytes(b"".join(lines))


def line(number, count=LINES):
    text = b"loss of step %d" % number
    if number == count - 100:
        text = b"\x1b[1;31mneedle\x1b[0m \x1b]0;title\x07<b>bold</b> \xe2\x80\xae"
    stream = "stderr" if number % 1000 == 999 else "stdout"
    return b"1700000000.%06d %s %s\n" % (number, LETTERS[stream], text)


def filled(folder):
    with Store.open(folder) as store:
        first = store.start("<i>digits</i>", params={"lr": 0.1, "kind": "cnn"}, capture=False)
        first.finish()
        params = {"lr": 1.0, "kind": "cnn", "model": {"sizes": [64, 10], "on": True}}
        run = store.start("<i>digits</i>", params=params, notes=NOTES, capture=False)
        for step in range(20):
            run.log({"loss": 1 / (step + 1)}, step=step)
        run.save("page.html", SCRIPT.encode())
        run.save("drawing.svg", SVG.encode())
        run.save("fake.png", SCRIPT.encode())
        run.save("notes.md", NOTES.encode())
        run.save("table.csv", b"name,value\n<b>x</b>,1\n")
        run.save("turned \u202egnp.txt", b"text")
        run.log_text("sample", SCRIPT, step=0)
        run.log_text("sample", "the second", step=9)
        run.finish()
        store.tag(run.uid, {"phase": "pilot"})
        printed(store, run, map(line, range(LINES)))
        failed = store.start("<i>digits</i>", capture=False)
        failed.log({"loss": 1.0})
        failed.finish("error", error=ValueError("<b>no</b>"))
        printed(store, failed, (line(number, FEW_LINES) for number in range(FEW_LINES)))
        return run.uid


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "store"
    return folder, filled(folder)


@pytest.fixture(scope="module")
def address(serving, made):
    return serving(made[0])


@pytest.fixture
def opened(address, made, look):
    """Open a part of a run, by default of the one in the middle."""

    def page_of(part="", name=made[1], **options):
        return look(address, f"/runs/{quote(name, safe='')}?tab={part}", **options)

    return page_of


def shown_lines(page):
    """Return the numbers of the lines that are in sight."""
    return page.evaluate(
        """() => {
            const box = document.querySelector(".output-scroll").getBoundingClientRect();
            return [...document.querySelectorAll(".output-line")]
                .filter((line) => {
                    const { top, bottom } = line.getBoundingClientRect();
                    return top >= box.top - 1 && bottom <= box.bottom + 1;
                })
                .map((line) => Number(line.querySelector(".output-number").textContent));
        }"""
    )


def test_rounded_numbers_have_a_sign_and_all_of_their_digits(opened):
    rounded = opened("metrics").locator(".metric-table .rounded")

    expect(rounded).to_have_text(["0.17989"])  # the mean; the others are exact
    expect(rounded).to_have_attribute("title", re.compile(r"^Rounded from 0\.17988698"))


def test_numbers_of_metrics_are_in_sight_on_a_narrow_screen(opened):
    page = opened(viewport={"width": 390, "height": 800})

    table = page.get_by_role("region", name="Table of metrics")
    expect(table.get_by_role("columnheader", name="Curve")).to_be_hidden()
    last = table.locator("tbody td.number").last.bounding_box()
    assert last["x"] + last["width"] <= 390


def test_notes_are_markdown_of_which_nothing_is_obeyed(opened):
    page = opened()

    notes = page.locator(".markdown")
    expect(notes.get_by_role("heading", name="Plan")).to_be_visible()
    expect(notes.get_by_role("link", name="paper")).to_have_attribute(
        "rel", re.compile("noopener")
    )
    expect(notes).to_contain_text(f"<script>document.title = top.document.title = '{SCRIPTED}'")
    assert notes.locator("img, script").count() == 0
    assert notes.locator("a[href^=javascript]").count() == 0
    expect(page.get_by_role("heading", level=1)).to_contain_text("<i>digits</i>_2")
    assert SCRIPTED not in page.title()


def test_tags_and_notes_are_edited_in_place_and_undone(opened, made):
    page = opened()
    folder, uid = made

    held = []

    def hold(route):
        held.append(route)

    page.route("**/api/v1/edits", hold)
    page.get_by_role("button", name="Add a tag").click()
    page.keyboard.insert_text("owner=ada")
    page.keyboard.press("Enter")
    while not held:
        page.wait_for_timeout(20)
    page.get_by_role("link", name="History").focus()
    held.pop().continue_()
    page.unroute_all()
    expect(page.get_by_role("group", name="Tags")).to_contain_text("owner")
    expect(page.get_by_role("link", name="History")).to_be_focused()
    page.keyboard.press("Control+z")
    expect(page.get_by_role("group", name="Tags")).not_to_contain_text("owner")

    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Notes").fill("Only *this*.\nAnd that.")
    page.keyboard.press("Control+Enter")
    undo = page.get_by_role("button", name="Undo", exact=True).last
    undo.hover()  # a message stays while it is pointed at
    expect(page.locator(".markdown em")).to_have_text("this")
    expect(page.locator(".markdown br")).to_have_count(1)
    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    with Store.open(folder) as store:
        assert store.get(uid).notes == "Only *this*.\nAnd that."
    undo.click()
    expect(page.locator(".markdown").get_by_role("heading", name="Plan")).to_be_visible()


def rested_lines(page):
    """Return the numbers of the lines in sight once scrolling has ended, as the address says."""
    for _ in range(300):
        lines = shown_lines(page)
        places = re.findall(r"[?&]at=(\d+)", page.url)
        # A line may be cut off above.
        if lines and places and 0 < lines[0] - int(places[0]) <= 2:
            return lines
        page.wait_for_timeout(50)
    raise AssertionError("the address does not name the lines in sight")


def test_all_lines_of_the_output_are_reached(opened):
    page = opened("output", viewport={"width": 1280, "height": 800})
    expect(page.get_by_text(f"{LINES:,} lines")).to_be_visible()

    page.get_by_role("button", name="Last line").click()
    expect(page.get_by_text(f"loss of step {LINES - 2}")).to_be_visible()
    assert shown_lines(page)[-1] == LINES

    page.get_by_role("region", name="Output").focus()
    end = page.url
    page.keyboard.press("PageUp")
    expect(page).not_to_have_url(end)
    before = rested_lines(page)
    page.reload()
    expect(page.get_by_text(f"loss of step {LINES - 50}", exact=True)).to_be_visible()
    assert shown_lines(page)[:5] == before[:5]


def test_the_search_looks_at_all_of_the_output(opened):
    page = opened("output")

    page.keyboard.press("/")
    page.keyboard.insert_text("NEEDLE")
    found = page.locator(".output-line.chosen")
    expect(found).to_contain_text("needle")
    expect(page.locator("#find-status")).to_have_text("1 of 1")

    # Colours are shown; a title and a mark of direction are not obeyed, and HTML is text.
    assert found.locator("mark").text_content() == "needle"
    expect(found.locator(".output-text")).to_have_text(r"needle <b>bold</b> \u202e")


def test_output_is_searched_by_case_and_patterns_and_shown_by_streams(opened):
    page = opened("output", "<i>digits</i>#3")
    page.keyboard.press("/")
    page.keyboard.insert_text("NEEDLE")
    expect(page.locator("#find-status")).to_have_text("1 of 1")

    page.get_by_role("button", name="Match case").click()
    expect(page.locator("#find-status")).to_have_text("None")
    page.get_by_label("Find in the output").fill("step 19[0-9]{2}$")
    page.get_by_role("button", name="Regular expression").click()
    expect(page.locator("#find-status")).to_have_text(re.compile("of 99$"))
    page.keyboard.press("Escape")

    page.get_by_role("button", name="stderr").click()
    expect(page.get_by_text("2 lines")).to_be_visible()


def test_output_is_followed_while_it_is_printed(made, address, look):
    with Store.open(made[0]) as store:
        run = store.start("live", capture=False)
        file = OutputFile(store.path / "spool" / f"{run.uid}.{0:020d}.output")
        try:
            file.feed(LETTERS["stdout"], b"first\n10%\r20%")
            page = look(address, f"/runs/{run.uid}?tab=output")
            lines = page.locator(".output-line")
            expect(lines).to_have_count(2)
            expect(lines.last).to_contain_text("20%")

            file.feed(LETTERS["stdout"], b"\r100%\n" + b"more\n" * 200 + b"the end\n")

            expect(lines.last).to_contain_text("the end")
            expect(page.get_by_text("203 lines")).to_be_visible()
            assert page.get_by_text("20%", exact=True).count() == 0
        finally:
            file.close()
            run.finish()
        expect(page.locator(".run-head .status")).to_have_text("complete")


def test_files_are_looked_at_and_cannot_script_the_page(opened):
    """The address keeps which one is open."""
    page = opened("files")

    for name, shown in (
        ("drawing.svg", ".look-picture img"),
        ("fake.png", "pre"),
        (r"turned \u202egnp.txt", "pre"),
        ("notes.md", ".markdown"),
        ("table.csv", "td >> text=<b>x</b>"),
    ):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.locator(".look")).to_contain_text(name)
        expect(page.locator(".look").locator(shown).first).to_be_visible()
        assert page.locator(".look script").count() == 0
        assert SCRIPTED not in page.title()
        if name in {"drawing.svg", "notes.md"}:
            page.reload()
            expect(page.locator(".look").locator(shown).first).to_be_visible()
            assert SCRIPTED not in page.title()


FIGURE = """<!doctype html><canvas id=c></canvas><pre id=said></pre><button>Leave</button>
<link rel=preconnect href=ELSEWHERE><link rel=stylesheet href=ELSEWHERE/first><script>
const said = (text) => { document.getElementById("said").textContent += text + "\\n"; };
document.getElementById("c").getContext("2d").fillRect(0, 0, 9, 9);
said("drawn " + eval("1 + 1") + " in " + origin);
const tried = (name, what) => {
  try { what(); said(name + " done"); } catch { said(name + " refused"); }
};
tried("page", () => { parent.document.title = "scripted"; });
tried("top", () => { top.location = "about:blank"; });
tried("cookie", () => document.cookie);
tried("storage", () => localStorage.length);
fetch("/api/v1/store").then(() => said("own fetch done"), () => said("own fetch refused"));
fetch("ELSEWHERE/fetch").then(() => said("fetch done"), () => said("fetch refused"));
new Image().src = "ELSEWHERE/image";
for (const tag of ["script", "iframe", "embed", "object"]) {
  const name = tag === "object" ? "data" : "src";
  document.body.appendChild(document.createElement(tag))[name] = "ELSEWHERE/" + tag;
}
const sheet = document.head.appendChild(document.createElement("link"));
sheet.rel = "stylesheet"; sheet.href = "ELSEWHERE/sheet";
navigator.sendBeacon("ELSEWHERE/beacon", "x");
try { new WebSocket("WS/socket"); } catch {}
open("ELSEWHERE/window");
document.querySelector("button").onclick = () => { location = "ELSEWHERE/self"; };
said("end");
</script>"""


@pytest.fixture
def elsewhere():
    """A server of another origin, and what it was asked."""
    asked = []
    listening = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                with contextlib.suppress(TimeoutError):
                    # A browser may connect before it refuses; nothing is sent then.
                    asked.append(connection.recv(200))

    threading.Thread(target=accept, daemon=True).start()
    yield f"127.0.0.1:{listening.getsockname()[1]}", asked
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def test_figures_in_saved_pages_are_drawn_and_reach_nothing(made, address, opened, elsewhere):
    """Scripts within the file run; neither the page, nor the store, nor a network is theirs."""
    host, asked = elsewhere
    figure = FIGURE.replace("ELSEWHERE", f"http://{host}").replace("WS", f"ws://{host}")
    with Store.open(made[0]) as store:
        run = store.start("figures", capture=False)
        run.save("figure.html", figure.encode())
        run.finish()
    context = opened().context  # the browser is let in; refusals are on the console
    page = context.new_page()
    path = "/runs/figures%231?tab=files&file=figure.html"
    page.goto(f"{address}{path}")

    frame = page.locator("iframe.look-frame")
    expect(frame).to_have_attribute("sandbox", "")
    page.get_by_role("button", name="Run scripts").click()
    said = page.frame_locator("iframe.look-frame").locator("#said")
    expect(said).to_contain_text("drawn 2 in null")
    expect(said).to_contain_text("page refused")
    expect(said).to_contain_text("storage refused")
    expect(said).to_contain_text("own fetch refused")
    expect(said).to_contain_text("end")
    page.frame_locator("iframe.look-frame").get_by_role("button", name="Leave").click()
    expect(said).to_have_count(0)  # it left, for a page of the browser that says no
    assert page.title() != SCRIPTED
    assert page.url.endswith(path)
    # Requests of the figure would have come before a later one of the same browser.
    with contextlib.suppress(sync_api.Error):
        page.goto(f"http://{host}/last")
    assert {one.split()[1] for one in asked if one} == {b"/last"}
    assert len(context.pages) == 2
    page.close()


def test_saved_pages_in_a_window_of_their_own_run_no_scripts(address, made, opened):
    """A window could open any address, so it gets the file without its scripts."""
    folder, uid = made
    del folder
    page = opened().context.new_page()  # the browser is let in

    for query in ("", "?figure=1"):
        page.goto(f"{address}/api/v1/runs/{uid}/artifacts/page.html{query}")
        assert SCRIPTED not in page.title()
        assert page.evaluate("origin") == "null"
    page.close()


def test_parameters_are_a_tree_with_types_and_differences(opened):
    page = opened("params")
    tree = page.get_by_role("table", name="Parameters of default")
    expect(tree).to_contain_text("[64, 10]")
    expect(tree.get_by_role("row", name=re.compile("^lr"))).to_contain_text("1.0")

    page.get_by_label("Filter parameters").fill("model on")
    expect(tree.get_by_role("row")).to_have_count(2)
    page.get_by_label("Filter parameters").fill("")
    page.get_by_role("checkbox", name=re.compile("Only differences")).check()
    expect(tree.get_by_role("row", name=re.compile("^lr"))).to_contain_text("was 0.1")
    expect(tree).not_to_contain_text("kind")
    page.reload()
    expect(tree.get_by_role("row", name=re.compile("^lr"))).to_contain_text("was 0.1")


def test_keys_lead_to_the_runs_beside_it(opened):
    page = opened("params")
    expect(page.get_by_role("link", name=re.compile("^Next run"))).to_be_visible()

    page.keyboard.press("]")
    expect(page.get_by_role("heading", level=1)).to_contain_text("digits</i>_3")
    expect(page).to_have_url(re.compile("tab=params"))
    page.get_by_role("link", name="Overview").click()
    expect(page.locator(".failure")).to_contain_text("<b>no</b>")
    expect(page.get_by_role("link", name=re.compile("^Previous run"))).to_be_visible()
    page.keyboard.press("[")
    expect(page.get_by_role("heading", level=1)).to_contain_text("digits</i>_2")


def test_what_is_copied_does_the_same(opened, tmp_path):
    """Each part names a command and lines of Python; they are there, and find the run."""
    page = opened()
    page.get_by_role("link", name=re.compile("^Next run")).click()  # one that printed little
    expect(page.get_by_role("heading", level=1)).to_contain_text("digits</i>_3")
    texts = {}
    for name in PARTS:
        if name == "media":  # it has none
            continue
        if name:
            page.locator(f'.run-tabs a[href$="tab={name}"]').click()
            expect(page.locator(f".run-{name}")).to_be_visible()
        page.get_by_role("button", name="Copy as").click()
        shown = page.locator(".copy-as pre")
        expect(shown).to_have_count(3)
        texts[name] = shown.all_text_contents()
        page.get_by_role("button", name="Copy as").click()  # a second click closes it
        expect(shown).to_have_count(0)

    for name, (address, command, python) in texts.items():
        assert address == page.url or name != PARTS[-1]
        ended = runstore(*shlex.split(command)[1:], cwd=tmp_path)
        assert ended.returncode == 0, (name, command, ended.stderr)
        lines = {"print": lambda *_: None}
        exec(python, lines)  # noqa: S102 - of our own page
        assert lines["run"].run_number == 3
        lines["store"].close()


def test_media_are_shown_step_by_step(opened):
    page = opened("media")
    expect(page.locator(".media-texts pre")).to_have_text("the second")

    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowLeft")

    expect(page.locator(".media-texts pre")).to_have_text(SCRIPT)


def test_run_is_accessible(opened, violations):
    """The head is looked at with the first part, and in both colours."""
    page = opened()
    for name in PARTS:
        if name:
            page.locator(f'.run-tabs a[href$="tab={name}"]').click()
            expect(page.locator(f".run-{name}")).to_be_visible()
        expect(page.locator(".run-body .loading")).to_have_count(0)
        page.emulate_media(color_scheme="light")
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        part = ".run-body" if name else "html"
        assert (name, violations(page, part)) == (name, [])
        if name:
            assert (name, violations(page, rules=OF_PAGES)) == (name, [])
        if name in {"", "output", "code"}:
            page.emulate_media(color_scheme="dark")
            expect(page.locator("html")).to_have_attribute("data-theme", "dark")
            assert (name, violations(page, part, OF_COLOURS)) == (name, [])
