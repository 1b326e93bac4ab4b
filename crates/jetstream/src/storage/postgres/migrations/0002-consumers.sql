-- How far those have got who are told of a scope's commits. `behind` holds as long as there is more for them,
-- so that a start finds what is left to tell without looking at all scopes.
CREATE TABLE jetstream.consumer (
    scope bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    scope_name text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,           -- what it has got
    behind boolean NOT NULL,
    failing_since bigint,               -- in milliseconds since 1970
    PRIMARY KEY (scope, name)
) WITH (fillfactor = 70);
CREATE INDEX consumer_behind ON jetstream.consumer (name, scope_name) WHERE behind;

-- What a consumer did not take, until somebody decides about it.
CREATE TABLE jetstream.letter (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL,
    scope text NOT NULL,
    after bigint NOT NULL,
    revision bigint NOT NULL,
    time bigint NOT NULL,
    key text NOT NULL,
    why text NOT NULL,
    record text NOT NULL,
    crc bigint NOT NULL
);
