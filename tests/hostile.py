"""Names that would break a page, a comment or a table, and what a page shows of its text and its tags."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import strategies as st

HOSTILE = (
    "<script>alert(1)</script>", "</code></details></summary>", "<img src=x onerror=alert(1)>", "<!-- x", "<b>",
    "&lt;", "&#64;everyone", "@octocat", "a@b.example", "#123", "octo/repo#4", "GH-12", "https://evil.example/x",
    "www.evil.example", "mailto:a@b.example", "[x](javascript:alert(1))", "![x](y)", "[x]: y", "a|b", "a\\|b", "\\",
    "|", "|||", "| a | b |\n| - | - |", "`", "``a`", "`a|b`", "```\nx", "~~~", "**b**", "_e_", "__b__", "~~s~~",
    "# h", "1. x", "1.", "- x", "> q", "===", "---", "$x$", ":smile:", "{{ x }}", "{% raw %}", "\n\n", "\r\n", "\t",
    "\u2028", "\x1b[31m", "\u202eevil", "\u05e9\u05dc\u05d5\u05dd 12", "\u0645\u0631\u062d\u0628\u0627 | x",
    "\ud800", "", " ", "  a  ", "a\"b", "a'b", "x" * 5000, "<" * 5000, "|" * 5000, "\u0301", "\N{ZERO WIDTH JOINER}",
    "\N{FULLWIDTH COMMERCIAL AT}a", "\N{NO-BREAK SPACE}",
)  # fmt: skip


def _hostile(index: int) -> str:
    return HOSTILE[index]


# By index: hypothesis would write all of them out in the strategy's name.
_evils = st.integers(0, len(HOSTILE) - 1).map(_hostile)
#: Text from anywhere: the known evils, alone, side by side, or among any characters at all.
hostile_text = st.one_of(
    _evils,
    st.tuples(_evils, _evils).map(" ".join),
    st.text(alphabet="ab1|`\\<>@#*_~[]()!&;:./-+=$ \n", max_size=24),
    st.text(max_size=24),
)


class Page(HTMLParser):
    """What is on a page of HTML: its tags, their attributes, its text in ``<code>`` and outside of it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.code: list[str] = []
        self.text: list[str] = []
        self.everything = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)
        if tag == "code":
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.everything += data
        if "code" in self.open:
            self.code[-1] += data
        else:
            self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")
