"""Settings of the coin."""

from pydantic import Field

from replications.registry.settings import RunSettings


class Settings(RunSettings):
    """One coin."""

    bias: float = Field(0.5, ge=0, le=1, description="Probability of heads.")
    n_steps: int = Field(40, ge=1, description="Updates of the estimate.")
    pause: float = Field(0.0, ge=0, description="Seconds a step takes at least.")
