"""Entry point of the policy pack; Pulumi's engine runs it."""

from policies.analyzer import serve
from policies.packs import HEALTHCARE

serve(HEALTHCARE)
