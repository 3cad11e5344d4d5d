"""The report's page as tests read it."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Checks that tags balance and collects tables, links, identifiers and alternative texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.errors, self.ids = [], [], []
        self.tables, self.sources, self.alts, self.words = {}, [], [], []
        self.bold, self.headers, self.downloads, self.captions = [], [], {}, []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"])
        if "download" in values:
            self.downloads[values["download"]] = values.pop("href")
        links = ("src", "href", "xlink:href", "srcset", "data", "action")
        self.sources += [
            values[key] for key in links if key in values and not values[key].startswith("#")
        ]
        if values.get("class") == "chart":
            self.alts.append(values.get("aria-label"))
        if tag == "table":
            self.tables[values["id"]] = []
        if tag == "tr":
            self.tables[self.table()].append([])
        if tag in ("td", "th"):
            self.tables[self.table()][-1].append("")
        if tag == "th":
            self.headers.append(values.get("scope"))
        if tag not in VOID:
            self.open.append((tag, values.get("id")))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.errors.append((tag, self.getpos()))
        else:
            self.open.pop()

    def handle_data(self, data):
        tags = [tag for tag, _ in self.open]
        if "style" in tags or "script" in tags:
            return
        self.words.append(data)
        if "strong" in tags and "td" in tags:
            self.bold.append(data)
        if "td" in tags or "th" in tags:
            self.tables[self.table()][-1][-1] += data + " "

    def table(self):
        return next(name for tag, name in reversed(self.open) if tag == "table")

    def lines(self, name):
        """The rows of a table, each cell's text with single spaces."""
        return [[" ".join(cell.split()) for cell in line] for line in self.tables[name]]

    def text(self):
        """All words of the page with single spaces."""
        return " ".join("".join(self.words).split())
