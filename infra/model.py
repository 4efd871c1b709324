"""The settings of a stack and of a site, as people write them; each description is its documentation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # noqa: TC003 - pydantic reads this annotation at run time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from infra.fields import (  # noqa: TC001 - pydantic reads these annotations at run time
    Cidr,
    ColumnPath,
    Country,
    Cpu,
    Currency,
    GroupName,
    Hostname,
    Language,
    Memory,
    ModuleName,
    ParameterName,
    PeopleGroup,
    Port,
    Region,
    Schedule,
    SiteName,
    TableName,
    TimeZone,
)
from infra.naming import Environment, Naming
from infra.quantities import cpu_millicores, memory_bytes

WaivableRule = Literal["database-standby", "data-protection"]


class _Settings(BaseModel):
    """Plain values, checked in full: unknown settings are refused, nothing is converted, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=False)


class Resources(_Settings):
    """What one container is guaranteed and what it may use at most."""

    cpu_request: Cpu = Field(description="Processor time that is guaranteed, such as 100m.")
    cpu_limit: Cpu = Field(description="Processor time at most, such as 2.")
    memory_request: Memory = Field(description="Memory that is guaranteed, such as 256Mi.")
    memory_limit: Memory = Field(description="Memory at most; above it the container is killed. Such as 768Mi.")

    @property
    def memory_limit_bytes(self) -> int:
        """The memory limit in bytes."""
        return memory_bytes(self.memory_limit)

    @property
    def cpu_limit_millicores(self) -> int:
        """The processor limit in millicores."""
        return cpu_millicores(self.cpu_limit)


class Cron(_Settings):
    """How scheduled actions run."""

    dedicated: bool = Field(description="Whether they have a deployment of their own (true) or run in web (false).")
    threads: int = Field(ge=1, le=8, description="How many scheduled actions run at once.")
    resources: Resources = Field(
        default=Resources(cpu_request="50m", cpu_limit="2", memory_request="256Mi", memory_limit="768Mi"),
        description="Size of the dedicated deployment's container.",
    )


class Odoo(_Settings):
    """The Odoo workload."""

    replicas: int = Field(
        ge=1, le=10, description="Web replicas wanted; a cluster with fewer nodes runs one for each node."
    )
    workers: int | None = Field(
        ge=0,
        le=32,
        description="Worker processes of each web replica; 0 is one threaded process, null is derived from the limits.",
    )
    resources: Resources = Field(description="Size of a web replica.")
    cron: Cron = Field(description="How scheduled actions run.")
    migration: Resources = Field(
        default=Resources(cpu_request="100m", cpu_limit="2", memory_request="256Mi", memory_limit="1536Mi"),
        description="Size of the job that restores the baseline and updates modules.",
    )
    banner: str | None = Field(
        default=None, max_length=120, description="Text shown on every page, so nobody mistakes the environment."
    )


class Database(_Settings):
    """The environment's own PostgreSQL."""

    instances: Literal[1, 2] = Field(description="1 is a primary alone, 2 is a primary and a standby.")
    storage: Memory = Field(description="Size of each instance's volume, such as 5Gi. It can grow, never shrink.")
    resources: Resources = Field(description="Size of each instance's container.")
    parameters: dict[ParameterName, str] = Field(
        default_factory=dict,
        description="PostgreSQL parameters on top of the platform's, all as text, such as work_mem: 16MB.",
    )


class Filestore(_Settings):
    """Odoo's attachments."""

    size: Memory = Field(description="Size of the claim, such as 5Gi.")
    access: Literal["shared", "single-node"] = Field(
        default="shared",
        description="shared is ReadWriteMany, for replicas on several nodes; single-node is ReadWriteOnce.",
    )


class Partner(_Settings):
    """Another organisation's system that Odoo may call."""

    name: SiteName = Field(description="Short name, used in the network rule's name.")
    cidr: Cidr = Field(description="The partner's network range, such as 192.0.2.16/28.")
    ports: tuple[Port, ...] = Field(min_length=1, description="TCP ports that may be reached there.")


class Network(_Settings):
    """Who may reach the environment and what it may reach."""

    client_cidrs: tuple[Cidr, ...] = Field(
        default=(), description="Networks whose users may reach the edge; none leaves port forwarding as the only way."
    )
    partners: tuple[Partner, ...] = Field(
        default=(), description="Systems outside the platform that Odoo may call; everything else is refused."
    )
    hostnames: tuple[Hostname, ...] = Field(
        default=(), description="Public names of the edge; the first is the base URL. Default <environment>.<domain>."
    )


class Data(_Settings):
    """What data the environment holds."""

    accepts_demo_data: bool = Field(description="Whether Odoo's demo data may be loaded. Never in prod.")
    baseline: Literal["standard", "demo"] = Field(
        description="What a new database starts from: an installed Odoo without (standard) or with (demo) demo data."
    )
    protected: bool | None = Field(
        default=None,
        description="Whether Pulumi refuses to delete what holds data. Default: true for training and prod.",
    )


class Quota(_Settings):
    """The most the environment may take from the cluster; must hold a rolling update."""

    cpu_requests: Cpu = Field(description="Guaranteed processor time of all pods together.")
    memory_limits: Memory = Field(description="Memory limits of all pods together.")
    storage: Memory = Field(description="Volumes of the environment together.")


class EnvironmentSettings(_Settings):
    """One environment, as `Pulumi.<stack>.yaml` declares it under `careops:`."""

    environment: Environment = Field(description="Which environment the stack is: dev, test, training or prod.")
    site: SiteName = Field(description="The site it belongs to: the name of a file in sites/.")
    odoo: Odoo = Field(description="The Odoo workload.")
    database: Database = Field(description="The environment's own PostgreSQL.")
    filestore: Filestore = Field(description="Odoo's attachments.")
    network: Network = Field(default=Network(), description="Who may reach it and what it may reach.")
    data: Data = Field(description="What data it holds.")
    quota: Quota = Field(description="The most it may take from the cluster.")


class Company(_Settings):
    """The site's company in Odoo."""

    name: str = Field(min_length=1, max_length=120, description="Legal name.")
    country: Country = Field(description="ISO 3166 code of two letters, such as FR.")
    currency: Currency = Field(description="ISO 4217 code of three letters, such as EUR.")


class Waiver(_Settings):
    """Permission to leave one control of the settings unmet until a day; policy rules have a register of their own."""

    rule: WaivableRule = Field(description="The control that is not met.")
    environment: Environment = Field(description="The environment it is not met in.")
    reason: str = Field(min_length=20, description="Why the risk is taken and what stands in meanwhile.")
    approver: str = Field(min_length=1, description="Who took it.")
    expires: date = Field(description="Last day it holds, at most 366 days ahead, such as 2027-01-31.")


class TrainingRole(_Settings):
    """Who logs in to training after a refresh: a trainer and some trainees with the same rights."""

    name: SiteName = Field(description="Short name; the logins are trainer-<name> and trainee-<name>-1 and so on.")
    groups: tuple[GroupName, ...] = Field(
        min_length=1, description="Odoo's groups they belong to, such as sales_team.group_sale_manager."
    )
    trainees: int = Field(default=1, ge=0, le=50, description="How many trainees have a login.")


class QuasiIdentifiers(_Settings):
    """Columns of the site's own that together narrow a person down, beyond those that careops knows."""

    table: TableName = Field(description="A table with a row per person, or several, such as x_ward_round.")
    columns: tuple[ColumnPath, ...] = Field(
        min_length=1,
        description="Its columns, the most useful ones first: where too few share a combination, the last is emptied "
        "first. One of a row it points to is written foreign_key.column, such as employee_id.birthday.",
    )
    person: ColumnPath | None = Field(
        default=None,
        description="Column that tells who a row is about where one person may have several, such as partner_id; null "
        "counts rows.",
    )
    threshold: int | None = Field(
        default=None, ge=2, le=1000, description="How many people at least share each combination; null is k_anonymity."
    )


class RefreshSizes(_Settings):
    """What a refresh takes while it runs."""

    isolated_storage: Memory = Field(
        default="10Gi",
        description="Room for the throw-away copy of prod's database on its node; twice the database is enough.",
    )
    isolated: Resources = Field(
        default=Resources(cpu_request="100m", cpu_limit="2", memory_request="256Mi", memory_limit="1Gi"),
        description="Size of the throw-away PostgreSQL.",
    )
    mask: Resources = Field(
        default=Resources(cpu_request="50m", cpu_limit="2", memory_request="128Mi", memory_limit="768Mi"),
        description="Size of the program that masks and verifies.",
    )
    export: Resources = Field(
        default=Resources(cpu_request="50m", cpu_limit="2", memory_request="64Mi", memory_limit="512Mi"),
        description="Size of the program that copies prod's database into the throw-away PostgreSQL.",
    )


class Refresh(_Settings):
    """How training is filled with masked data from prod."""

    schedule: Schedule | None = Field(
        default=None,
        description="When, in the site's time zone, such as `30 1 * * 6`; null is only when somebody asks for it. Let "
        "it begin deadline_hours before the first class of the day: a run that could last into one is left out.",
    )
    k_anonymity: int = Field(
        default=5,
        ge=2,
        le=100,
        description="How many people at least share each combination of quasi-identifiers in training.",
    )
    quasi_identifiers: tuple[QuasiIdentifiers, ...] = Field(
        default=(), description="The site's own sets of columns that k_anonymity is to hold for as well."
    )
    deadline_hours: int = Field(default=6, ge=1, le=48, description="After how many hours a run is given up.")
    roles: tuple[TrainingRole, ...] = Field(
        default=(TrainingRole(name="user", groups=("base.group_user",)),),
        min_length=1,
        description="Who gets a login in training.",
    )
    sizes: RefreshSizes = Field(default=RefreshSizes(), description="What a run takes from the cluster.")


class Sandbox(_Settings):
    """How trainers ask for a refreshed training environment, and who decides."""

    trainers: tuple[PeopleGroup, ...] = Field(
        min_length=1, description="Groups of people who may ask, as the cluster knows them, such as riverside-trainers."
    )
    approvers: tuple[PeopleGroup, ...] = Field(
        min_length=1, description="Groups of people who may approve; nobody approves what they asked for themselves."
    )
    longest_hours: int = Field(default=10, ge=1, le=16, description="Class hours of one day at most.")
    longest_days: int = Field(default=5, ge=1, le=31, description="Days of one class at most.")
    ahead_days: int = Field(default=365, ge=7, le=730, description="How many days ahead a class may be asked for.")
    keep_days: int = Field(default=7, ge=0, le=90, description="Days after the last class until a sandbox expires.")


class Freeze(_Settings):
    """Days on which training is not to change, in the site's time zone."""

    first_day: date = Field(description="First day, such as 2026-12-21.")
    last_day: date = Field(description="Last day, itself included, such as 2027-01-03.")
    reason: str = Field(min_length=3, max_length=120, description="Why, such as Year-end closing.")


class SiteSettings(_Settings):
    """A site: what its four environments have in common."""

    name: SiteName = Field(description="Short name; the file is sites/<name>.yaml, namespaces <name>-<environment>.")
    company: Company = Field(description="The site's company in Odoo.")
    region: Region = Field(description="Where the site's data is kept.")
    allowed_regions: tuple[Region, ...] = Field(
        min_length=1, description="Where the site's data may be kept; no copy, backup or replica leaves these."
    )
    time_zone: TimeZone = Field(description="The site's time zone, such as Europe/Paris.")
    languages: tuple[Language, ...] = Field(min_length=1, description="Languages of its users; the first is default.")
    modules: tuple[ModuleName, ...] = Field(min_length=1, description="Odoo modules to install, by technical name.")
    domain: Hostname = Field(description="Domain the environments' public names are made under.")
    waivers: tuple[Waiver, ...] = Field(default=(), description="Controls of the settings that are waived for a time.")
    refresh: Refresh | None = Field(
        default=None, description="How training is filled with masked data from prod; null is not at all."
    )
    sandbox: Sandbox | None = Field(
        default=None, description="How trainers ask for a refreshed training environment; null is not at all."
    )
    freezes: tuple[Freeze, ...] = Field(default=(), description="Days without classes and without refreshes.")


class OperatorSettings(_Settings):
    """The PostgreSQL operator, which serves every environment."""

    resources: Resources = Field(
        default=Resources(cpu_request="50m", cpu_limit="500m", memory_request="100Mi", memory_limit="256Mi"),
        description="Size of the operator's container.",
    )


class PlatformSettings(_Settings):
    """The shared platform, as `Pulumi.platform.yaml` declares it under `careops:`."""

    operator: OperatorSettings = Field(default=OperatorSettings(), description="The PostgreSQL operator.")


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """A checked environment stack with the site it belongs to.

    Attributes:
        stack: The Pulumi stack's name.
        settings: What the stack file declares.
        site: What the site file declares.
    """

    stack: str
    settings: EnvironmentSettings
    site: SiteSettings

    @property
    def naming(self) -> Naming:
        """The environment's names."""
        return Naming(site=self.site.name, environment=self.settings.environment)

    @property
    def namespace(self) -> str:
        """The environment's namespace."""
        return self.naming.namespace

    @property
    def identity(self) -> str:
        """What its data is marked with."""
        return self.naming.identity

    @property
    def hostnames(self) -> tuple[str, ...]:
        """Public names of the edge, the base URL's first."""
        default = f"{self.settings.environment}.{self.site.domain}"
        return self.settings.network.hostnames or (default,)

    @property
    def edge_names(self) -> tuple[str, ...]:
        """Every name the edge answers to and carries in its certificate."""
        return self.naming.edge_names(self.hostnames)

    @property
    def base_url(self) -> str:
        """The address Odoo writes into mails and links."""
        return f"https://{self.hostnames[0]}"

    @property
    def protected(self) -> bool:
        """Whether Pulumi refuses to delete what holds data."""
        chosen = self.settings.data.protected
        return self.settings.environment in PROTECTED_ENVIRONMENTS if chosen is None else chosen


# Dev and test are made from a baseline in minutes; losing training or prod loses work or patients' records.
PROTECTED_ENVIRONMENTS: tuple[Environment, ...] = ("training", "prod")
