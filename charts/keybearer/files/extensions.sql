-- On first start alone. The view is the whole server's, wherever the extension is.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
