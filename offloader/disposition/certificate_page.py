"""The certificate as one HTML file that asks nobody for anything, in English or Dutch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #c8ccd1}
table{border-collapse:collapse;width:100%;font-size:.875rem}td,th{border:1px solid #c8ccd1;padding:.3rem .5rem;
text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#f2f4f6}code{font-size:.85em}
dt{font-weight:600}dd{margin:0 0 .5rem;overflow-wrap:anywhere}@media print{body{margin:0;max-width:none}}
"""
_DUTCH: Final[Mapping[str, str]] = {
    "Certificate of erasure": "Verklaring van gegevenswissing",
    "Under Article 17 of the General Data Protection Regulation (EU) 2016/679": (
        "Op grond van artikel 17 van de Algemene verordening gegevensbescherming (EU) 2016/679"
    ),
    "Controller": "Verwerkingsverantwoordelijke",
    "Subject (keyed hash)": "Betrokkene (hash met sleutel)",
    "Request": "Verzoek",
    "Received": "Ontvangen",
    "Answer due": "Antwoord uiterlijk",
    "Extended on, because": "Verlengd op, omdat",
    "State": "Stand",
    "Legal ground": "Grondslag",
    "Plan and its SHA-256": "Plan en zijn SHA-256",
    "Certificate made": "Verklaring opgemaakt",
    "Approvals": "Goedkeuringen",
    "Person": "Persoon",
    "Role": "Rol",
    "Said": "Uitspraak",
    "When": "Wanneer",
    "Erased": "Gewist",
    "Document (keyed hash)": "Document (hash met sleutel)",
    "Kind": "Soort",
    "Store": "Opslag",
    "Object": "Object",
    "Versions and markers removed": "Verwijderde versies en markeringen",
    "Evidence": "Bewijs",
    "Catalogs": "Catalogi",
    "Archives of purged records": "Archieven van opgeschoonde records",
    "Record (keyed hash)": "Record (hash met sleutel)",
    "In the CRM": "In het CRM",
    "Act": "Handeling",
    "Not reached, and until when": "Niet bereikt, en tot wanneer",
    "What": "Wat",
    "Why": "Waarom",
    "Until": "Tot",
    "Kept, and why": "Bewaard, en waarom",
    "What goes on existing": "Wat blijft bestaan",
    "Recipients to inform (Article 19)": "Te informeren ontvangers (artikel 19)",
    "Recipient": "Ontvanger",
    "Place": "Plaats",
    "How to check": "Hoe te controleren",
    "Nothing.": "Niets.",
    "not known": "niet bekend",
    "the CRM's own recycle bin": "de prullenbak van het CRM zelf",
    "our placeholder with its link, which opens nothing any more: the CRM's administrator deletes it": (
        "onze plaatsvervanger met zijn link, die niets meer opent: de beheerder van het CRM verwijdert hem"
    ),
    "back-ups are overwritten in their own rhythm": "back-ups worden in hun eigen ritme overschreven",
    "a copy of the ledger from before an upgrade of its schema: delete the file": (
        "een kopie van het grootboek van voor een bijwerking van het schema: verwijder het bestand"
    ),
    "shared": "hangt ook aan records van anderen: een mens beslist",
    "uncertain": "alleen een naam komt overeen: een mens beslist",
    "original in the CRM": "het origineel staat in het CRM",
    "each event is part of a hash chain and proves that nothing was lost; events hold numbers, times, checksums and "
    "ids of the CRM, which lead to nothing any more, and no names": (
        "elke gebeurtenis is deel van een keten van hashes en bewijst dat niets verloren ging; er staan nummers, "
        "tijden, controlegetallen en id's van het CRM in, die nergens meer heen leiden, en geen namen"
    ),
    "sealed; they hold ids and no names": "verzegeld; er staan id's in en geen namen",
    "keyed hashes, so that the erased stay erased after a restore": (
        "hashes met sleutel, zodat het gewiste gewist blijft na een herstel"
    ),
    "files that were written earlier may print names (setting reports.names): delete them where they lie": (
        "bestanden die eerder geschreven zijn kunnen namen tonen (instelling reports.names): verwijder ze daar"
    ),
    "done": "gewist",
    "open": "open",
    "held": "aangehouden",
    "conflict": "gewijzigd, niet gewist",
    "failed": "mislukt",
    "asked again after the deletion, the store has no object under this key (404)": (
        "na de verwijdering opnieuw gevraagd: de opslag heeft geen object onder deze sleutel (404)"
    ),
    "another document has the same bytes and keeps them there; the reference of this one is gone": (
        "een ander document heeft dezelfde bytes en houdt ze daar; de verwijzing van dit document is weg"
    ),
    "still there": "nog aanwezig",
    "SHA-256 of the statement": "SHA-256 van de verklaring",
    "Signature (JWS, Ed25519)": "Handtekening (JWS, Ed25519)",
    "none: there is no audit key in the configuration": "geen: de configuratie heeft geen audit-sleutel",
    "Events of the log": "Gebeurtenissen van het logboek",
    "The JSON file beside this page holds the statement and its signature. It can be checked with any JOSE library and "
    "the controller's public key.": (
        "Het JSON-bestand naast deze pagina bevat de verklaring en de handtekening. Elke JOSE-bibliotheek kan die "
        "controleren met de openbare sleutel van de verwerkingsverantwoordelijke."
    ),
}


def page(value: Mapping[str, Any], digest: str, language: str) -> str:
    """A certificate's JSON as a page; `digest` is the SHA-256 of its statement."""
    say = _DUTCH if language == "nl" else {}

    def words(text: str) -> str:
        return say.get(text, text)

    title = words("Certificate of erasure")
    parts = [
        Markup("<h1>{}</h1><p>{}</p>").format(
            title, words("Under Article 17 of the General Data Protection Regulation (EU) 2016/679")
        ),
        _head(value, digest, words),
        *_tables(value, words),
        Markup("<h2>{}</h2><p>{}</p><p>{}</p>").format(
            words("How to check"),
            words(
                "The JSON file beside this page holds the statement and its signature. It can be checked with any JOSE "
                "library and the controller's public key."
            ),
            value["audit"]["check"],
        ),
    ]
    return str(
        Markup(
            '<!doctype html><html lang="{}"><head><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width"><title>{}</title><style>{}</style></head><body>{}</body></html>\n'
        ).format(language, title, Markup(_STYLE), Markup("").join(parts))  # noqa: S704 - our own style, escaped parts
    )


def _head(value: Mapping[str, Any], digest: str, words: Any) -> Markup:
    request = value["request"] or {}
    extended = f"{request['extended']}: {request['extended_for']}" if request.get("extended") else ""
    rows = {
        "Controller": value["controller"],
        "Subject (keyed hash)": (value["subject"] or {}).get("keyed_hash", value.get("why", "")),
        "Request": request.get("id", ""),
        "Received": request.get("received", ""),
        "Answer due": request.get("due", ""),
        "Extended on, because": extended,
        "State": words(request.get("state", "")),
        "Legal ground": value["ground"],
        "Plan and its SHA-256": f"{value['plan']['id']}: {value['plan']['sha256']}",
        "Certificate made": f"{value['made']} ({value['by']})",
        "SHA-256 of the statement": digest,
        "Signature (JWS, Ed25519)": value["signature"] or words("none: there is no audit key in the configuration"),
        "Events of the log": ", ".join(map(str, value["audit"]["events"])),
    }
    return Markup("<dl>{}</dl>").format(
        Markup("").join(
            Markup("<dt>{}</dt><dd>{}</dd>").format(words(name), text) for name, text in rows.items() if text
        )
    )


def _tables(value: Mapping[str, Any], words: Any) -> Iterable[Markup]:
    documents = value["documents"]
    approvals = [(each["person"], each["role"], each["said"], each["at"]) for each in value["approvals"]]
    yield _table(words, "Approvals", ("Person", "Role", "Said", "When"), approvals)
    copies = [
        (
            each["keyed_hash"],
            each["kind"],
            words(each["state"]),
            copy["store"],
            copy["key"],
            copy["at"],
            f"{copy['versions']} / {copy['markers']}",
            " ".join([words(copy["evidence"]), *(f"({each})" for each in copy.get("shared_with", ()))]),
        )
        for each in documents
        for copy in each["copies"]
    ]
    columns = ("Document (keyed hash)", "Kind", "State", "Store", "Object", "When", "Versions and markers removed")
    yield _table(words, "Erased", (*columns, "Evidence"), copies)
    acts = [(each["keyed_hash"], act["source"], act["act"], act["at"]) for each in documents for act in each["in_crm"]]
    yield _table(words, "In the CRM", ("Document (keyed hash)", "CRM", "Act", "When"), acts)
    segments = {
        (place["store"], place["key"], place["at"], words(place["evidence"]))
        for each in documents
        for place in each["catalog_segments"]
    }
    yield _table(words, "Catalogs", ("Store", "Object", "When", "Evidence"), sorted(segments))
    records = [
        (each["keyed_hash"], words(each["state"]), place["store"], place["key"], place["at"], words(place["evidence"]))
        for each in value["archived_records"]
        for place in each["segments"]
    ]
    of_records = ("Record (keyed hash)", "State", "Store", "Object", "When", "Evidence")
    yield _table(words, "Archives of purged records", of_records, records)
    missing = [(e["what"], words(e["why"]), e["until"] or words("not known")) for e in value["not_reached"]]
    yield _table(words, "Not reached, and until when", ("What", "Why", "Until"), missing)
    kept = [(each["keyed_hash"], each["kind"], words(each["why"]), each["ground"]) for each in value["kept"]]
    yield _table(words, "Kept, and why", ("Document (keyed hash)", "Kind", "Why", "Legal ground"), kept)
    yield _table(
        words, "What goes on existing", ("What", "Why"), [(e["what"], words(e["why"])) for e in value["stays"]]
    )
    informed = [(each["recipient"], each["place"]) for each in value["recipients"]]
    yield _table(words, "Recipients to inform (Article 19)", ("Recipient", "Place"), informed)


def _table(words: Any, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    head = Markup("<h2>{}</h2>").format(words(title))
    if not rows:
        return head + Markup("<p>{}</p>").format(words("Nothing."))
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in rows
    )
    top = Markup("").join(Markup("<th>{}</th>").format(words(column)) for column in columns)
    return head + Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(top, body)
