-- Stands in for the schema that NoETL's Python package carries in the same place, where that is not installed. It uses
-- what makes loading the real one delicate (JSON operators that look like parameters, bodies in dollar quotes,
-- partitions, a sequence behind a default), and holds the one table that the stand-in server asks for.
CREATE SEQUENCE IF NOT EXISTS noetl.id_seq;

CREATE OR REPLACE FUNCTION noetl.next_id() RETURNS bigint AS $$
BEGIN
    RETURN (extract(epoch FROM clock_timestamp()) * 1000)::bigint << 10 | nextval('noetl.id_seq') % 1024;
END;
$$ LANGUAGE plpgsql;

CREATE TABLE IF NOT EXISTS noetl.event (
    execution_id bigint NOT NULL,
    event_id bigint NOT NULL DEFAULT noetl.next_id(),
    event_type text NOT NULL,
    result jsonb CHECK (result IS NULL OR result ? 'status'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (execution_id, event_id)
) PARTITION BY RANGE (execution_id);

CREATE TABLE IF NOT EXISTS noetl.event_default PARTITION OF noetl.event DEFAULT;

CREATE INDEX IF NOT EXISTS event_command ON noetl.event (event_type) WHERE result ? 'command_id';

CREATE OR REPLACE VIEW noetl.event_log AS SELECT * FROM noetl.event;

DO $$
BEGIN
    IF to_regclass('noetl.event') IS NULL THEN
        RAISE EXCEPTION 'the table of events is missing';
    END IF;
END;
$$;
