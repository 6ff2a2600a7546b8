"""The terminal session: a wish in the user's own words, a plan to agree to, a team that can be watched, steered and asked."""
