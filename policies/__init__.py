"""Judge the platform against named healthcare controls: rules, their catalogue, waivers and the policy pack."""
