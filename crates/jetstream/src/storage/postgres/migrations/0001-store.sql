-- Who may write. There is one row without an end, and every transaction that writes begins by counting its
-- batch up there: whoever lost the store finds no row any more, and whoever lost a connection reads in it
-- whether the last batch was stored.
CREATE TABLE jetstream.owner (
    epoch bigint PRIMARY KEY,
    instance text NOT NULL,             -- a process that serves, for as long as it runs
    holder text NOT NULL,               -- the same for people
    begun timestamptz NOT NULL DEFAULT now(),
    ended timestamptz,
    batch bigint NOT NULL DEFAULT 0     -- the last one that was stored
) WITH (fillfactor = 50);

CREATE TABLE jetstream.scope (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    position bigint NOT NULL,           -- of the last entry
    revision bigint NOT NULL,           -- of the last commit
    modified bigint NOT NULL,           -- when that was made, in milliseconds since 1970
    schema_version bigint NOT NULL      -- of the newest snapshot, and so of the entries behind it
) WITH (fillfactor = 70);

-- What happened in a scope, in order; a row for what was stored together. Records are JSON, with a CRC-32.
CREATE TABLE jetstream.log (
    scope bigint NOT NULL,
    position bigint NOT NULL,           -- of the last entry in the record
    entries bigint NOT NULL,            -- how many there are
    revision bigint,                    -- of the last commit among them, if there is one
    record text NOT NULL,
    crc bigint NOT NULL,
    PRIMARY KEY (scope, position)
);
CREATE INDEX log_revision ON jetstream.log (scope, revision) WHERE revision IS NOT NULL;

-- States of a scope, each behind the entry at its position.
CREATE TABLE jetstream.snapshot (
    scope bigint NOT NULL,
    position bigint NOT NULL,
    revision bigint NOT NULL,
    time bigint NOT NULL,
    record text NOT NULL,
    crc bigint NOT NULL,
    PRIMARY KEY (scope, position)
);

-- Sessions whose clients may come back. Of a token only its SHA-256 is kept.
CREATE TABLE jetstream.session (
    id text COLLATE "C" PRIMARY KEY,    -- twenty digits, so that the order is that of the numbers
    token bytea NOT NULL UNIQUE,
    record text NOT NULL,
    crc bigint NOT NULL
);

-- Every schema that records were written with.
CREATE TABLE jetstream.model_schema (
    version bigint PRIMARY KEY,
    text text NOT NULL,
    added timestamptz NOT NULL DEFAULT now()
);

-- Where it is tried out whether the database takes something again; always empty.
CREATE TABLE jetstream.probe (filling text NOT NULL);

-- Ends the transaction unless something holds: so a whole batch can be sent without waiting for answers.
CREATE FUNCTION jetstream.demand(holds boolean, code text, otherwise text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF holds THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = otherwise;
END
$$;
