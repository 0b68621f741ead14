"""The GraphQL API, the pages and the command line."""
