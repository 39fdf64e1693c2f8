"""The countries of the made-up world: towns, companies and people as they are called there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One country: ISO 3166-1 alpha-2 code, its share of all documents in percent, and names in use there."""

    code: str
    name: str
    #: how users there write their country into a free-text field
    native: str
    language: str
    share: int
    towns: Sequence[str]
    companies: Sequence[str]
    forms: Sequence[str]
    first_names: Sequence[str]
    last_names: Sequence[str]


PLACES: Mapping[str, Place] = {
    place.code: place
    for place in (
        Place(
            code="DE",
            name="Germany",
            native="Deutschland",
            language="de",
            share=23,
            towns=("Hamburg", "München", "Köln", "Leipzig", "Nürnberg", "Münster"),
            companies=("Nordwerk", "Müller & Söhne", "Elbtal Pumpen", "Schwarzwald Optik", "Rheinhafen Logistik"),
            forms=("GmbH", "AG", "KG", "GmbH & Co. KG"),
            first_names=("Jürgen", "Anke", "Sören", "Katharina", "Björn", "Heike", "Lukas"),
            last_names=("Müller", "Schröder", "Weiß", "Krämer", "Bauer", "Jäger", "Vogel"),
        ),
        Place(
            code="FR",
            name="France",
            native="France",
            language="fr",
            share=12,
            towns=("Lyon", "Nantes", "Besançon", "Orléans", "Saint-Étienne"),
            companies=("Ateliers Lefèvre", "Verrerie du Rhône", "Transports Besnard", "Cartonnerie de l'Ouest"),
            forms=("SARL", "SA", "SAS"),
            first_names=("Amélie", "Benoît", "Chloé", "François", "Hélène", "Jérôme"),
            last_names=("Lefèvre", "Girard", "Noël", "Besnard", "Chevalier", "D'Angelo"),
        ),
        Place(
            code="NL",
            name="Netherlands",
            native="Nederland",
            language="nl",
            share=17,
            towns=("Utrecht", "Groningen", "Den Bosch", "Enschede", "'s-Gravenhage"),
            companies=("Van Dijk Techniek", "Zuiderzee Kwekerijen", "De Boer Bouw", "Maasstad Koeling"),
            forms=("B.V.", "N.V.", "V.O.F."),
            first_names=("Daan", "Sanne", "Joëlle", "Pieter", "Femke", "Thijs"),
            last_names=("van Dijk", "de Boer", "van 't Hoff", "Jansen", "Bakker", "Visser"),
        ),
        Place(
            code="US",
            name="United States",
            native="USA",
            language="en",
            share=21,
            towns=("Columbus", "Tulsa", "Portland", "Albany", "Boise", "Savannah"),
            companies=(
                "Redwood Instruments",
                "Lake Supply",
                "O'Brien Tooling",
                "Prairie Health",
                "Elm Freight",
            ),
            forms=("Inc.", "LLC", "Corp."),
            first_names=("Ashley", "Brandon", "Carlos", "Denise", "Emily", "Frank"),
            last_names=("O'Brien", "Walker", "Ramirez", "Nguyen", "Carter", "Brooks"),
        ),
        Place(
            code="CN",
            name="China",
            native="中国",
            language="zh",
            share=4,
            towns=("Suzhou", "Qingdao", "Chengdu", "Xiamen"),
            companies=("Suzhou Precision 苏州精密", "青岛港物流", "Chengdu Optoelectronics", "厦门光电"),
            forms=("Co., Ltd.", "有限公司"),
            first_names=("伟", "芳", "Xiaoming", "Lili"),
            last_names=("王", "李", "Zhang", "Chen"),
        ),
        Place(
            code="RU",
            name="Russia",
            native="Россия",
            language="ru",
            share=4,
            towns=("Kazan", "Perm", "Tver", "Samara"),
            companies=("Волга-Техника", "Ural Kompressor", "Северный Лес", "Kazan Polimer"),
            forms=("ООО", "OOO", "АО"),
            first_names=("Иван", "Ольга", "Dmitri", "Наталья"),
            last_names=("Иванов", "Соколова", "Petrov", "Морозова"),
        ),
        Place(
            code="AU",
            name="Australia",
            native="Australia",
            language="en",
            share=8,
            towns=("Geelong", "Newcastle", "Ballarat", "Townsville"),
            companies=("Southern Cross Pumps", "Wattle Grain", "Coral Bay Marine", "Outback Drilling"),
            forms=("Pty Ltd", "Ltd"),
            first_names=("Bruce", "Kylie", "Liam", "Matilda"),
            last_names=("Thompson", "Nguyen", "McKenzie", "Clarke"),
        ),
        Place(
            code="BR",
            name="Brazil",
            native="Brasil",
            language="pt",
            share=9,
            towns=("Curitiba", "Campinas", "Belém", "São José dos Campos"),
            companies=("Cerâmica São João", "Açúcar do Vale", "Irmãos Gonçalves", "Papel Paraná"),
            forms=("Ltda.", "S.A."),
            first_names=("João", "Conceição", "Luís", "Fernanda"),
            last_names=("Gonçalves", "da Silva", "Araújo", "Magalhães"),
        ),
    )
}

#: Share of the one account without a country, in percent of all documents.
NOWHERE_SHARE = 2
