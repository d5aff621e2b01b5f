"""The only actor: one engine has its hands on the clusters."""
