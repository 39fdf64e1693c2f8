"""What an operator can say to the residency rule book. The descriptions are the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from offloader.plugins import Options

SignalTie = Literal["any", "residence", "citizenship", "establishment", "collection"]
#: bases that a bulk transfer can rest on; a derogation (GDPR Article 49) is for occasional ones and is none
BasisKind = Literal[
    "adequacy",
    "scc",
    "bcr",
    "certification",
    "cac_assessment",
    "cac_scc_filing",
    "cac_certificate",
    "kvkk_standard_contract",
    "vn_ctia",
    "eg_licence",
    "roskomnadzor_notice",
    "pia_quebec",
    "tax_office_permit",
    "consent",
]


class Categories(Options):
    """Which categories of rules a document falls under: the union of all that apply."""

    default: tuple[str, ...] = Field(
        ("personal_data",),
        description="Categories of every document. With none here and none from elsewhere, a document's category is "
        "unknown, and all rules of its countries apply.",
    )
    by_kind: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="More categories for documents of a kind (ContentDocument, annotation, …)."
    )
    by_parent: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="More categories for documents on a type of record (Account, Invoice__c, …)."
    )


class RetentionOptions(Options):
    """How long documents are kept by law: duties of the table for their categories and jurisdictions."""

    by_law: bool = Field(
        True,
        description="Whether the table's duties apply. They change no decision about the place; what they say stands "
        "with it.",
    )
    fiscal_year_end: str = Field("12-31", description="Last day of your fiscal year (MM-DD; 02-29: end of February).")
    fiscal_year_ends: Mapping[str, str] = Field(
        default_factory=dict, description="Other last days, by jurisdiction (IN: 03-31)."
    )
    time_zone: str = Field("UTC", description="The zone in which a moment that the CRM says is a day (Europe/Berlin).")
    event_signals: Mapping[str, str] = Field(
        default_factory=dict,
        description="Signals that say the events from which terms run (contract_end: End_Date__c), where their names "
        "differ. An event that no record says leaves its duty waiting.",
    )
    exclude: Mapping[str, str] = Field(
        default_factory=dict, description="Duties that do not apply to you, each with the reason."
    )


class TransferBasis(Options):
    """A recorded legal basis for keeping documents outside the places that a conditional rule allows."""

    id: str = Field(min_length=1, description="Your own name for it; decisions that rest on it name it.")
    kind: BasisKind = Field(description="What it is.")
    rules: tuple[str, ...] = Field((), description="Rules that it satisfies, by id (EU-01).")
    jurisdictions: tuple[str, ...] = Field((), description="Or all conditional rules of these jurisdictions (EU).")
    categories: tuple[str, ...] = Field(
        (), description="Only for documents that fall under these categories and no others; all, if none is named."
    )
    destinations: tuple[str, ...] = Field(min_length=1, description="Countries, or @GROUPs of them, that it opens.")
    valid_from: date = Field(description="First day (UTC).")
    valid_to: date = Field(description="Last day (UTC). An expired basis is none.")
    owner: str = Field(min_length=1, description="The person who answers for it.")
    document: str = Field("", description="Where the signed paper is.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.rules and not self.jurisdictions:
            raise ValueError(f"the transfer basis {self.id!r} names neither rules nor jurisdictions")
        if self.valid_to < self.valid_from:
            raise ValueError(f"the transfer basis {self.id!r} ends before it begins")
        if "*" in self.destinations:
            raise ValueError(f"the transfer basis {self.id!r} must name its destinations; * is none")
        return self


class ResidencyOptions(Options):
    """Options of the residency rule book."""

    country_signal: str = Field("country", description="The signal that says the country of a document's record.")
    more_country_signals: tuple[str, ...] = Field(
        (),
        description="Further signals that name a country, such as a citizenship; their countries' rules apply too. "
        "A record may lack them.",
    )
    further_signals: Mapping[str, tuple[SignalTie, ...]] = Field(
        default_factory=dict,
        description="Further signals that name a country, each with how that country has to do with the document. "
        "`citizenship` of the person, `establishment` of the company that answers, `collection`: where the data were "
        "collected, `residence`, or `any`. Only rules that can reach a document in that way apply. A record may lack "
        "them.",
    )
    subdivision_signal: str = Field(
        "subdivision",
        description="The signal that says the state or province (CA-QC, QC or Quebec). Where it is unknown, the rules "
        "of every state and province of the country apply.",
    )
    category_signal: str = Field(
        "category", description="The signal that names further categories; an unknown word means all rules apply."
    )
    unplaced_parents: tuple[str, ...] = Field(
        ("User", "Group", "CollaborationGroup", "ContentWorkspace", "Organization", "systemuser", "team"),
        description="Parents that belong to no country (people, groups, libraries): one without a country signal does "
        "not count. Every other parent must have one, or the document needs review.",
    )
    categories: Categories = Field(default_factory=Categories, description="Categories of documents.")
    transfer_bases: tuple[TransferBasis, ...] = Field((), description="Recorded legal bases for conditional rules.")
    allow_extensions: tuple[str, ...] = Field(
        (),
        description="Rules (DE-02) whose condition for keeping documents in the further places that they name is met.",
    )
    exclude_rules: Mapping[str, str] = Field(
        default_factory=dict,
        description="Rules that do not apply to you, each with the reason; the reason stands in every decision.",
    )
    treat_volume_rules_as: str = Field(
        "strict",
        description="How rules that depend on how many people's data leave a country in a year are read. `strict`: all "
        "apply (a Chinese document stays in China). `under_100000`, `under_1000000`, `over_1000000`: you declare "
        "that you are no operator of critical infrastructure and that your yearly export is that large; only that "
        "tier's rules apply.",
    )
    attested: Literal["accept", "refuse", "free_rules_only"] = Field(
        "accept",
        description="Whether a store may be chosen whose place is attested by you and not proven by its provider. "
        "`refuse`: never. `free_rules_only`: only for documents that no HARD, PRIMARY or COPY rule binds.",
    )
    closed_stores: Literal["wait", "next"] = Field(
        "wait",
        description="What happens while the store that comes first for a document has no current proof of its place. "
        "`wait`: the document stays in the CRM until it has one. `next`: the next permitted store takes it, which may "
        "be in another country.",
    )
    overdue_rules: Literal["apply", "review"] = Field(
        "apply",
        description="What a rule past its review date does: apply and say so, or send its documents to review.",
    )
    retention: RetentionOptions = Field(default_factory=RetentionOptions, description="How long documents are kept.")
    prefer: tuple[str, ...] = Field(
        (),
        description="Stores to choose first, in this order, where permitted. Then: a store in the document's own "
        "country, then one under the same law (EEA), then by name.",
    )
    min_bytes: int = Field(0, ge=0, description="Smaller documents stay in the CRM, where their size is known.")
