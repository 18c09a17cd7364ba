"""The settings of states: what they are called, which values they may have, and where these come from.

Neighbours: `sections` has the other sections; `state_checks` says what must agree.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from streams.settings.sections import Section

DURATION = r"^[1-9][0-9]{0,8}[smhd]$"
STATE_NAME = r"^[a-z][a-z0-9]*(_[a-z0-9]+)+$"


class StateRuleSettings(Section):
    """Events that say that a state has a value. What is left out fits any event."""

    event: str | None = Field(None, description="The event's name.")
    type: str | None = Field(None, description="The event's type.")
    source: str | None = Field(None, description="The event's source.")
    role: str | None = Field(
        None, description="The role of the participant of whom it is said; every one of the entity type when left out."
    )
    when: str | None = Field(None, description="JMESPath over the event; it must give something true.")
    value: str | None = Field(None, description="The value, as it is written here.")
    value_of: str | None = Field(None, description="JMESPath over the event that gives the value, in the place of `value`.")


class LapseSettings(Section):
    """A value that was not observed again for some time becomes another."""

    value: str = Field(description="The value that lapses.")
    becomes: str = Field(description="What it becomes.")
    after: str = Field(pattern=DURATION, description="After how long without an observation: `90s`, `15m`, `12h` or `30d`.")


class ComponentSettings(Section):
    """A state that another is derived from."""

    state: str = Field(description="A declared state: of the same entity type, or with `of` of those that memberships connect it with.")
    when: str | None = Field(None, description="JMESPath over `{value: ...}`; makes the component true or false in the place of the value.")
    of: Literal["members", "groups"] | None = Field(
        None, description="Whose state it is in the place of the entity's own: its members', or that of the groups that it belongs to."
    )
    any: str | None = Field(None, description="With `of`: JMESPath over `{value: ...}` that must be true of one of them.")
    all: str | None = Field(
        None, description="With `of`: JMESPath over `{value: ...}` that must be true of each of them, and there must be one."
    )
    most: int = Field(
        1_000, ge=1, le=2_000, description="With `of`: of an entity with more members, or groups, than so many the component is null."
    )


class DerivedSettings(Section):
    """How a state follows from others of the same entity."""

    components: dict[str, ComponentSettings] = Field(
        min_length=1, description="What the expression is over, by name: a state, or `{state, when}`."
    )
    value: str = Field(description="JMESPath over the present values of the components; true and false become text, null no value.")

    @field_validator("components", mode="before")
    @classmethod
    def _named_only(cls, components: object) -> object:
        if not isinstance(components, dict):
            return components
        return {name: {"state": one} if isinstance(one, str) else one for name, one in components.items()}


class StateSettings(Section):
    """A state of an entity type."""

    name: str = Field(pattern=STATE_NAME, description="`<namespace>_<subject>`, and a qualifier if need be: `billing_subscription`.")
    entity: str = Field(description="A declared entity type.")
    description: str = Field("", description="What it means, for people.")
    values: list[str] | None = Field(None, min_length=1, description="The values that are allowed; any when left out. Others are refused.")
    initial: str | None = Field(None, description="The value from the entity's first time on, until there is another.")
    participant: str | None = Field(
        None,
        description="The state that participants carry under this name; its own name when left out, and that one is then not kept itself.",
    )
    rules: list[StateRuleSettings] = Field(default_factory=list, description="Events that say that it has a value.")
    lapses: list[LapseSettings] = Field(default_factory=list, description="Values that become others when they are not observed again.")
    derived: DerivedSettings | None = Field(None, description="How it follows from other states, in the place of being observed.")
