// Package dbtest provides tests with real databases: a fresh, migrated one for each call, on SQLite
// and on PostgreSQL.
//
// PostgreSQL is the server at BILLET_TEST_POSTGRES, a URL whose user may create databases; `make
// test` starts one. Without it those tests are skipped, unless BILLET_TEST_REQUIRE_POSTGRES is set,
// which makes a missing server a failure.
//
// The files of SQLite are below BILLET_TEST_MEMORY if it is set: `make test` uses a folder in
// memory, where syncing a commit takes no time.
package dbtest
