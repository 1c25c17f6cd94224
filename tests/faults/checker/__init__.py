"""A checker that knows the protocol (docs/protocol.md) and the REST interface (docs/openapi.yaml), and nothing of the servers."""
