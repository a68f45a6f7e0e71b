-- +goose Up

-- What the database knows of the servers that use it, by name: the name of the secret key, the version of billetd.
CREATE TABLE installation (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- A database that has secrets already is told by one of them which key they are sealed with: "v1.<name of the key>.<sealed>".
INSERT INTO installation (name, value)
SELECT 'secret-key', SUBSTR(sealed, 4, 8)
FROM (SELECT secret AS sealed FROM totp UNION ALL SELECT credential FROM supply_provider UNION ALL SELECT secret FROM webhook) AS secrets
WHERE sealed LIKE 'v1.________.%'
LIMIT 1;

-- Which one server does something that only one may do, and until when by the database's clock.
CREATE TABLE server_lease (
    name     TEXT   PRIMARY KEY,
    holder   TEXT   NOT NULL,
    until_at BIGINT NOT NULL
);

-- Rows are written here and deleted in the same transaction, to see whether anything can be written.
CREATE TABLE write_try (
    id     TEXT PRIMARY KEY,
    filler TEXT NOT NULL
);

-- +goose Down
DROP TABLE write_try;
DROP TABLE server_lease;
DROP TABLE installation;
