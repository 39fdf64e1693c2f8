"""What an operator can say to the residency rule book. The descriptions are the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from offloader.plugins import Options

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


class TransferBasis(Options):
    """A recorded legal basis for keeping documents outside the places that a conditional rule allows."""

    id: str = Field(min_length=1, description="Your own name for it; decisions that rest on it name it.")
    kind: BasisKind = Field(description="What it is.")
    rules: tuple[str, ...] = Field((), description="Rules that it satisfies, by id (EU-01).")
    jurisdictions: tuple[str, ...] = Field((), description="Or all conditional rules of these jurisdictions (EU).")
    destinations: tuple[str, ...] = Field(min_length=1, description="Countries, or @GROUPs of them, that it opens.")
    valid_from: date = Field(description="First day (UTC).")
    valid_to: date = Field(description="Last day (UTC). An expired basis is none.")
    owner: str = Field(min_length=1, description="The person who answers for it.")

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
    prefer: tuple[str, ...] = Field(
        (),
        description="Stores to choose first, in this order, where permitted. Then: a store in the document's own "
        "country, then one under the same law (EEA), then by name.",
    )
    min_bytes: int = Field(0, ge=0, description="Smaller documents stay in the CRM, where their size is known.")
