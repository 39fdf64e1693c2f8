"""The access pack's first page: one HTML file that asks nobody for anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{border:1px solid #c8ccd1;padding:.3rem .5rem;
text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#f2f4f6}.review{background:#fff4d6}
"""


def page(about: Mapping[str, Any]) -> str:
    """The page over what `documents.json` holds."""
    rows = Markup("").join(_row(each) for each in about["documents"])
    recipients = ", ".join(f"{store} ({', '.join(places)})" for store, places in sorted(about["recipients"].items()))
    facts = {
        **({"Controller": about["controller"]} if about["controller"] else {}),
        "Request": f"{about['request']['id']}, received {about['request']['received']}",
        "Made": about["made"][:10],
        "Stores that can hold documents, and where they are": recipients,
        **{name.replace("_", " ").capitalize(): _said(value) for name, value in about["processing"].items()},
    }
    head = Markup("").join(Markup("<li><b>{}:</b> {}</li>").format(name, value) for name, value in facts.items())
    warning = Markup("")
    if about["review"]:
        warning = Markup(
            '<p class="review"><b>Not for handing over:</b> these documents may show other people. Somebody looks at '
            "each and exports again, with <code>--include</code> for what is handed over and <code>--exclude</code> "
            "for what is about others (GDPR Article 15(4)). This folder is no part of the pack.</p>"
        )
    elif about["withheld"]["documents"]:
        warning = Markup("<p>{} further documents are not in this pack: {}.</p>").format(
            about["withheld"]["documents"], about["withheld"]["why"]
        )
    return str(
        Markup(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width"><title>Documents about you</title><style>{}</style></head><body>'
            "<h1>Documents about you</h1><p>Under Articles 15 and 20 of the General Data Protection Regulation (EU) "
            "2016/679. <code>documents.json</code> says the same for programs; <code>sha256sum -c manifest-sha256.txt"
            "</code>, run in the pack’s folder, shows that every file is whole.</p><ul>{}</ul>"
            "<p>You may ask the controller to correct or erase these data, to restrict or stop their use, and you may "
            "complain to a supervisory authority (Article 15(1)(e) and (f)).</p>{}"
            "<table><thead><tr><th>Document</th><th>Files</th><th>Created</th><th>Stored in</th>"
            "<th>Kept until, erased by</th></tr></thead><tbody>{}</tbody></table></body></html>\n"
        ).format(Markup(_STYLE), head, warning, rows)  # noqa: S704 - our own style, escaped parts
    )


def _row(each: Mapping[str, Any]) -> Markup:
    files = Markup("<br>").join(
        Markup('<a href="{}">{}</a> ({} bytes)').format(file["file"].partition("/")[2], file["name"], file["size"])
        for file in each["files"]
    )
    stored = ", ".join(f"{store} ({', '.join(places)})" for store, places in sorted(each["stored"].items()))
    ends = ", ".join(value for value in (each["keep_until"], each["erase_by"]) if value)
    note = Markup("<br><small>{}</small>").format("may show other people") if each["review"] else Markup("")
    return Markup("<tr{}><td>{}{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>").format(
        Markup(' class="review"') if each["review"] else Markup(""),
        each["title"],
        note,
        files,
        (each["created"] or "")[:10],
        stored or "the CRM",
        ends,
    )


def _said(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)
