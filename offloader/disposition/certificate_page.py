"""The certificate as one HTML file that asks nobody for anything, in English or Dutch."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #c8ccd1}
table{border-collapse:collapse;width:100%;font-size:.8125rem}td,th{border:1px solid #c8ccd1;padding:.3rem .5rem;
text-align:left;vertical-align:top}th{background:#f2f4f6}code{font-size:.92em;overflow-wrap:anywhere}
.sum{border:1px solid #c8ccd1;border-left:.4rem solid #1a7f37;padding:.5rem 1rem}.sum.open{border-left-color:#9a6700}
dl{display:grid;grid-template-columns:fit-content(17rem) 1fr;gap:.25rem 1rem}dt{font-weight:600}
dd{margin:0;overflow-wrap:anywhere}
@page{margin:15mm}@media print{body{margin:0;max-width:none;font-size:10pt}table{font-size:7.5pt}
h2{break-after:avoid}tr,.sum,dl{break-inside:avoid}th,.sum{print-color-adjust:exact}}
"""
#: columns whose cells may break anywhere
_CODE: Final = frozenset({"Document (keyed hash)", "Record (keyed hash)", "Object"})
#: columns of times
_TIMES: Final = frozenset({"When", "Until"})
#: words of the statement as an English page says them
_ENGLISH: Final[Mapping[str, str]] = {
    "remove": "original removed after its move",
    "unlink": "link deleted",
    "delete": "row deleted",
    "detach": "link taken off the person's records",
}
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
    "Document (keyed hash)": "Document (hash met sleutel)",
    "Kind": "Soort",
    "Store": "Opslag",
    "Object": "Object",
    "Versions and markers removed": "Verwijderde versies en markeringen",
    "Evidence": "Bewijs",
    "Catalogs": "Catalogi",
    "Archives of purged records": "Archieven van opgeschoonde records",
    "Record (keyed hash)": "Record (hash met sleutel)",
    "Act": "Handeling",
    "Not reached, and until when": "Niet bereikt, en tot wanneer",
    "What": "Wat",
    "Why": "Waarom",
    "Until": "Tot",
    "Kept or undecided, and why": "Bewaard of onbeslist, en waarom",
    "Acts in the CRM": "Handelingen in het CRM",
    "GDPR Article 17(1)": "AVG artikel 17, lid 1",
    "What goes on existing": "Wat blijft bestaan",
    "Recipients to inform (Article 19)": "Te informeren ontvangers (artikel 19)",
    "Recipient": "Ontvanger",
    "Place": "Plaats",
    "How to check": "Hoe te controleren",
    "Nothing.": "Niets.",
    "not known": "niet bekend",
    "the CRM's own recycle bin": "de prullenbak van het CRM zelf",
    "the original, in the CRM's own recycle bin": "het origineel, in de prullenbak van het CRM zelf",
    "the link, in the CRM's own recycle bin": "de link, in de prullenbak van het CRM zelf",
    "Address": "Adres",
    "Joint controllers": "Gezamenlijke verwerkingsverantwoordelijken",
    "Data protection officer": "Functionaris voor gegevensbescherming",
    "How to find the person": "Hoe de betrokkene te vinden",
    "`offloader erase find`, asked for the same person with the same words, prints this hash again; whoever does not "
    "have the controller's key learns nothing from it.": (
        "`offloader erase find`, voor dezelfde persoon met dezelfde woorden gevraagd, toont deze hash opnieuw; wie de "
        "sleutel van de verwerkingsverantwoordelijke niet heeft, leert er niets uit."
    ),
    "Versions": "Versies",
    "approved": "goedgekeurd",
    "rejected": "afgewezen",
    "withdrawn": "ingetrokken",
    "event log": "logboek van gebeurtenissen",
    "plans of moves ": "plannen van verplaatsing ",
    "legal holds ": "legal holds ",
    "none": "geen",
    "tombstones": "grafstenen",
    "reports ": "verslagen ",
    "provider of the store ": "aanbieder van de opslag ",
    "provider of the CRM ": "aanbieder van het CRM ",
    "back-up ": "back-up ",
    "file ": "bestand ",
    "store ": "opslag ",
    "as in its contract": "zoals in het contract staat",
    "unknown": "onbekend",
    "{events} of {all}; SHA-256 of the newest: {sha256}": "{events} van {all}; SHA-256 van de nieuwste: {sha256}",
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
    "ended or not, they are the proof that nothing under them was removed; they go on naming ids of the CRM, in the "
    "ledger and in objects holds/ of the stores, and neither names nor titles, but the matter's words": (
        "beëindigd of niet, ze bewijzen dat niets wat eronder viel verwijderd is; ze noemen nog id's van het CRM, in "
        "het grootboek en in objecten holds/ van de opslagen, en geen namen of titels, wel de woorden van de zaak"
    ),
    "keyed hashes, so that the erased stay erased after a restore": (
        "hashes met sleutel, zodat het gewiste gewist blijft na een herstel"
    ),
    "files that were written earlier may print names (setting reports.names): delete them where they lie": (
        "bestanden die eerder geschreven zijn kunnen namen tonen (instelling reports.names): verwijder ze daar"
    ),
    "Documents found: {found}. Erased: {erased}. Left for others without the person: {redacted}. Kept by law or under "
    "a legal hold: {kept}. Waiting: {waiting}.": (
        "Gevonden documenten: {found}. Gewist: {erased}. Gebleven voor anderen, zonder de betrokkene: {redacted}. "
        "Bewaard op grond van de wet of een legal hold: {kept}. Nog in afwachting: {waiting}."
    ),
    "The request was answered on {answered}, in time: the answer was due on {due}.": (
        "Het verzoek is beantwoord op {answered}, op tijd: het antwoord moest er uiterlijk op {due} zijn."
    ),
    "The request was answered on {answered}, late: the answer was due on {due}.": (
        "Het verzoek is beantwoord op {answered}, te laat: het antwoord moest er uiterlijk op {due} zijn."
    ),
    "The request is not done yet; the answer is due on {due}.": (
        "Het verzoek is nog niet afgehandeld; het antwoord moet er uiterlijk op {due} zijn."
    ),
    "Places that were not reached yet: {places}; see below until when.": (
        "Plaatsen die nog niet bereikt zijn: {places}; zie hieronder tot wanneer."
    ),
    "Answered": "Beantwoord",
    "Carried out": "Uitgevoerd",
    "Plan made by": "Plan opgesteld door",
    "to": "tot",
    "Nobody's approval was asked for.": "Er is geen goedkeuring gevraagd.",
    "Documents": "Documenten",
    "Copies in stores": "Kopieën in de opslag",
    "In the CRM": "In het CRM",
    "Stays for others, without the person": "Blijft voor anderen, zonder de betrokkene",
    "Other records": "Andere records",
    "What stays": "Wat blijft",
    "bytes, title and file name, for the other records": "bytes, titel en bestandsnaam, voor de andere records",
    "remove": "origineel verwijderd na de verplaatsing",
    "unlink": "link verwijderd",
    "delete": "rij verwijderd",
    "detach": "link van de records van de betrokkene gehaald",
    "asked again after the deletion, the CRM does not show it": (
        "na de verwijdering opnieuw gevraagd: het CRM toont het niet"
    ),
    "read back, the link hangs on the other records alone": (
        "teruggelezen: de link hangt alleen nog aan de andere records"
    ),
    "only a name matches, and there is no record that could be taken off it": (
        "alleen een naam komt overeen, en er is geen record dat eraf kan"
    ),
    "its kind has no link that could be taken off one record: do it in the CRM": (
        "deze soort heeft geen link die van één record af kan: doe het in het CRM"
    ),
    "its original is in the CRM: take the record off it there, and scan again": (
        "het origineel staat in het CRM: haal het record er daar af, en scan opnieuw"
    ),
    "its title, file name or details name the person, and would stay: rename it first, or erase it": (
        "titel, bestandsnaam of details noemen de betrokkene en zouden blijven: hernoem het eerst, of wis het"
    ),
    "the data are no longer necessary for their purposes": "de gegevens zijn niet langer nodig voor hun doel",
    "the consent was withdrawn, and there is no other ground": (
        "de toestemming is ingetrokken, en er is geen andere grondslag"
    ),
    "the data subject objects, and no overriding grounds stand against it": (
        "de betrokkene maakt bezwaar, en er zijn geen zwaarder wegende gronden"
    ),
    "the data were processed unlawfully": "de gegevens zijn onrechtmatig verwerkt",
    "a legal obligation demands the erasure": "een wettelijke verplichting eist de wissing",
    "the data were collected from a child, for a service offered to it": (
        "de gegevens zijn van een kind verzameld, voor een dienst die het werd aangeboden"
    ),
    "erased before, and found again after a restore": "eerder gewist, en na een herstel weer gevonden",
    "`offloader audit prove NAME --out FILE`, with the name in `known_as`, proves a document's events against the "
    "signed checkpoints; `offloader audit verify` checks the whole log": (
        "`offloader audit prove NAAM --out BESTAND`, met de naam in `known_as`, bewijst de gebeurtenissen van een "
        "document tegen de ondertekende controlepunten; `offloader audit verify` controleert het hele logboek"
    ),
    "done": "gereed",
    "open": "open",
    "held": "aangehouden",
    "conflict": "gewijzigd, niet gewist",
    "failed": "mislukt",
    "asked again after the deletion, the store has no object under this key": (
        "na de verwijdering opnieuw gevraagd: de opslag heeft geen object onder deze sleutel"
    ),
    "another document has the same bytes and keeps them there; the reference of this one is gone": (
        "een ander document heeft dezelfde bytes en houdt ze daar; de verwijzing van dit document is weg"
    ),
    "still there": "nog aanwezig",
    "SHA-256 of the statement": "SHA-256 van de verklaring",
    "Signature (JWS, Ed25519)": "Handtekening (JWS, Ed25519)",
    "none: there is no audit key in the configuration": "geen: de configuratie heeft geen audit-sleutel",
    "Events of the log that tell of it": "Gebeurtenissen van het logboek die het vertellen",
    "The JSON file beside this page holds the statement and its signature. With the controller's public key, "
    "`python3 check_certificate.py FILE KEY` beside it checks both, without offloader; so does any JOSE library.": (
        "Het JSON-bestand naast deze pagina bevat de verklaring en de handtekening. Met de openbare sleutel van de "
        "verwerkingsverantwoordelijke controleert `python3 check_certificate.py BESTAND SLEUTEL` beide, zonder "
        "offloader; elke JOSE-bibliotheek kan dat ook."
    ),
}


_FOUND: Final = (
    "Documents found: {found}. Erased: {erased}. Left for others without the person: {redacted}. Kept by law or under "
    "a legal hold: {kept}. Waiting: {waiting}."
)
_IN_TIME: Final = "The request was answered on {answered}, in time: the answer was due on {due}."
_LATE: Final = "The request was answered on {answered}, late: the answer was due on {due}."
_NOT_DONE: Final = "The request is not done yet; the answer is due on {due}."
_MISSING: Final = "Places that were not reached yet: {places}; see below until when."
_HOW: Final = (
    "The JSON file beside this page holds the statement and its signature. With the controller's public key, "
    "`python3 check_certificate.py FILE KEY` beside it checks both, without offloader; so does any JOSE library."
)
_FIND: Final = (
    "`offloader erase find`, asked for the same person with the same words, prints this hash again; whoever does not "
    "have the controller's key learns nothing from it."
)
_EVENTS: Final = "{events} of {all}; SHA-256 of the newest: {sha256}"
#: how things begin that have a name
_THINGS: Final = (
    "plans of moves ",
    "legal holds ",
    "reports ",
    "provider of the store ",
    "provider of the CRM ",
    "back-up ",
    "file ",
    "store ",
)
_ARTICLE: Final = "GDPR Article 17(1)"
_COPIES: Final = ("Document (keyed hash)", "Store", "Object", "When", "Versions and markers removed")
_ACTS: Final = ("Document (keyed hash)", "CRM", "Act", "When", "Evidence")
Words = Callable[[str], str]


def page(value: Mapping[str, Any], digest: str, language: str) -> str:
    """A certificate's JSON as a page; `digest` is the SHA-256 of its statement."""
    say = _DUTCH if language == "nl" else _ENGLISH

    def words(text: str) -> str:
        return say.get(text, text)

    title = words("Certificate of erasure")
    parts = [
        Markup("<h1>{}</h1><p>{}</p>").format(
            title, words("Under Article 17 of the General Data Protection Regulation (EU) 2016/679")
        ),
        _summary(value, words),
        _head(value, digest, words),
        *_tables(value, words),
        Markup("<h2>{}</h2><p>{}</p><p>{}</p>").format(
            words("How to check"), _prose(words(_HOW)), _prose(words(value["audit"]["check"]))
        ),
    ]
    return str(
        Markup(
            '<!doctype html><html lang="{}"><head><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width"><title>{}</title><style>{}</style></head><body>{}</body></html>\n'
        ).format(language, title, Markup(_STYLE), Markup("").join(parts))  # noqa: S704 - our own style, escaped parts
    )


def _prose(text: str) -> Markup:
    """A sentence with `code` in it."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


def _signed(signature: str) -> str:
    """The key's public half and the signature proper; what was signed stands in the JSON file."""
    if not signature:
        return ""
    head, _, mark = signature.split(".")
    key = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]
    return f"{mark} (kid {key})"


def _summary(value: Mapping[str, Any], words: Words) -> Markup:
    """What came of the request, in sentences."""
    request, sums = value["request"] or {}, value["summary"]
    lines = [words(_FOUND).format(**sums)]
    if request:
        key = {True: _IN_TIME, False: _LATE}.get(request["in_time"], _NOT_DONE)
        lines.append(words(key).format(**request))
    if value["not_reached"]:
        lines.append(words(_MISSING).format(places=len(value["not_reached"])))
    waits = bool(sums["waiting"]) or bool(request and not request["answered"])
    return Markup('<p class="sum{}">{}</p>').format(Markup(" open") if waits else "", " ".join(lines))


def _head(value: Mapping[str, Any], digest: str, words: Words) -> Markup:
    request, plan, done = value["request"] or {}, value["plan"], value["carried_out"]
    contacts = value["contacts"]
    extended = f"{request['extended']}: {request['extended_for']}" if request.get("extended") else ""
    article, _, ground = value["ground"].replace(_ARTICLE, words(_ARTICLE)).partition(": ")
    rows = {
        "Controller": value["controller"] or contacts["controller"],
        "Address": contacts["controller"] if value["controller"] else "",
        "Joint controllers": contacts["joint_controllers"],
        "Data protection officer": contacts["dpo_contact"],
        "Subject (keyed hash)": (value["subject"] or {}).get("keyed_hash", words(value.get("why", ""))),
        "How to find the person": _prose(words(_FIND)) if value["subject"] else "",
        "Request": request.get("id", ""),
        "Received": request.get("received", ""),
        "Answer due": request.get("due", ""),
        "Extended on, because": extended,
        "Answered": request.get("answered") or "",
        "State": words(request.get("state", "")),
        "Legal ground": f"{article}: {words(ground)}" if ground else article,
        "Plan and its SHA-256": f"{plan['id']}: {plan['sha256']}",
        "Plan made by": f"{value['people'].get(plan['by'], plan['by'])}, {_moment(plan['made'])}",
        "Carried out": f"{_moment(done['from'])} {words('to')} {_moment(done['to'])}" if done["from"] else "",
        "Certificate made": f"{_moment(value['made'])} ({value['by']})",
        "SHA-256 of the statement": digest,
        "Signature (JWS, Ed25519)": _signed(value["signature"])
        or words("none: there is no audit key in the configuration"),
        "Events of the log that tell of it": words(_EVENTS).format(
            events=", ".join(map(str, value["audit"]["events"])),
            all=value["audit"]["head"]["events"],
            sha256=value["audit"]["head"]["sha256"],
        ),
    }
    return Markup("<dl>{}</dl>").format(
        Markup("").join(
            Markup("<dt>{}</dt><dd>{}</dd>").format(words(name), text) for name, text in rows.items() if text
        )
    )


def _tables(value: Mapping[str, Any], words: Words) -> Iterable[Markup]:
    documents, redacted = value["documents"], value["redacted"]
    people = value["people"]
    approvals = [
        (people.get(each["person"], each["person"]), each["role"], words(each["said"]), each["at"])
        for each in value["approvals"]
    ]
    none = "Nobody's approval was asked for."
    yield _table(words, "Approvals", ("Person", "Role", "Said", "When"), approvals, none)
    every = [
        (
            e["keyed_hash"],
            e["kind"],
            words(e["state"]),
            e["versions"] or "\N{EN DASH}",
            len(e["copies"]),
            len(e["in_crm"]),
        )
        for e in documents
    ]
    listed = ("Document (keyed hash)", "Kind", "State", "Versions", "Copies in stores", "Acts in the CRM")
    yield _table(words, "Documents", listed, every)
    yield _table(words, "Copies in stores", (*_COPIES, "Evidence"), list(_copies(documents, words)))
    yield _table(words, "In the CRM", _ACTS, list(_acts((*documents, *redacted), words)))
    stays = [(e["keyed_hash"], e["kind"], words(e["state"]), e["others"], words(e["stays"])) for e in redacted]
    columns = ("Document (keyed hash)", "Kind", "State", "Other records", "What stays")
    yield _table(words, "Stays for others, without the person", columns, stays)
    segments = {
        (place["store"], place["key"], place["at"], words(place["evidence"]))
        for each in (*documents, *redacted)
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
    yield from _rest(value, words)


def _copies(documents: Sequence[Mapping[str, Any]], words: Words) -> Iterable[Sequence[object]]:
    for each in documents:
        for copy in each["copies"]:
            removed = f"{copy['versions']} / {copy['markers']}"
            sharers = (f"({other})" for other in copy.get("shared_with", ()))
            evidence = " ".join([words(copy["evidence"]), *sharers])
            yield each["keyed_hash"], copy["store"], copy["key"], copy["at"], removed, evidence


def _acts(documents: Sequence[Mapping[str, Any]], words: Words) -> Iterable[Sequence[object]]:
    for each in documents:
        for act in each["in_crm"]:
            yield each["keyed_hash"], act["source"], words(act["act"]), act["at"], words(act["evidence"])


def _rest(value: Mapping[str, Any], words: Words) -> Iterable[Markup]:
    """What is left, and who has to be told."""
    missing = [
        (_what(e["what"], words), words(e["why"]), e["until"] or words("not known")) for e in value["not_reached"]
    ]
    yield _table(words, "Not reached, and until when", ("What", "Why", "Until"), missing)
    kept = [(each["keyed_hash"], each["kind"], words(each["why"]), each["ground"]) for each in value["kept"]]
    yield _table(words, "Kept or undecided, and why", ("Document (keyed hash)", "Kind", "Why", "Legal ground"), kept)
    stays = [(_what(each["what"], words), words(each["why"])) for each in value["stays"]]
    yield _table(words, "What goes on existing", ("What", "Why"), stays)
    informed = [(_what(each["recipient"], words), words(each["place"])) for each in value["recipients"]]
    yield _table(words, "Recipients to inform (Article 19)", ("Recipient", "Place"), informed)


def _what(text: str, words: Words) -> str:
    """A thing by its word, with its name behind it as it is."""
    for start in _THINGS:
        if text.startswith(start):
            return words(start) + words(text.removeprefix(start))
    return words(text)


def _table(
    words: Words, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], none: str = "Nothing."
) -> Markup:
    head = Markup("<h2>{}</h2>").format(words(title))
    if not rows:
        return head + Markup("<p>{}</p>").format(words(none))
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(_cell(column, cell) for column, cell in zip(columns, row, strict=True))
        )
        for row in rows
    )
    top = Markup("").join(Markup("<th>{}</th>").format(words(column)) for column in columns)
    return head + Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(top, body)


def _cell(column: str, cell: object) -> Markup:
    if column in _CODE:
        return Markup("<td><code>{}</code></td>").format(cell)
    return Markup("<td>{}</td>").format(_moment(str(cell)) if column in _TIMES else cell)


def _moment(text: str) -> str:
    """A time of the statement as people read it; a day, or a word, stays as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at.tzinfo else text
