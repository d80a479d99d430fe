"""The database: engine, transactions that know their tenant, schema and migrations."""
