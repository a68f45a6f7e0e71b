// Package dbtest gives tests real databases: a fresh, migrated one for each
// call, on SQLite and on PostgreSQL.
//
// PostgreSQL is the server at BILLET_TEST_POSTGRES, a URL whose user may create
// databases; `make test` starts one. Without it those tests are skipped, unless
// BILLET_TEST_REQUIRE_POSTGRES is set, which makes a missing server a failure: a suite
// that silently runs on one engine proves half of what it says.
//
// A file of SQLite lies below BILLET_TEST_MEMORY where that is set: `make test` names a folder in memory. Each commit is synced
// as ever, which takes no time there.
package dbtest
