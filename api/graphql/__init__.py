"""The GraphQL contract: one module a domain, and the machinery that keeps a query bounded."""
