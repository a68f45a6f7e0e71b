package migrate

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMigrationsBlockNoServer refuses migrations that rewrite or lock a big table, or that servers
// of the previous version do not work with. The first one is for an empty database.
func TestMigrationsBlockNoServer(t *testing.T) {
	dir, err := fs.Sub(files, "sql")
	if err != nil {
		t.Fatal(err)
	}
	all, err := sources(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all[1:] {
		for _, problem := range m.problems() {
			t.Errorf("%s: %s", m.file, problem)
		}
	}
}

// allowed is a form of a statement that a migration may have.
type allowed struct {
	form *regexp.Regexp // of the statement in upper case, with single spaces
	// contract is whether only a contract migration may have it.
	contract bool
	// alone is whether it must run outside a transaction, and so may take long.
	alone bool
	// refused are parts that it must not have, with what to do instead.
	refused []part
}

type part struct {
	form    *regexp.Regexp
	instead string
}

const (
	name     = `"?([A-Z_][A-Z0-9_]*)"?`
	constant = `(?:'[^']*'|-?[0-9.]+|TRUE|FALSE|NULL)`
)

func form(text string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + text + `)$`) }

// forms are all that a migration may do. Group 1 is the table that must not be blocked.
var forms = []allowed{
	{form: form(`CREATE TABLE ` + name + ` .*`)},
	{form: form(`INSERT INTO ` + name + ` .*\bVALUES\b.*`)},
	{form: form(`ALTER TABLE ` + name + ` ADD COLUMN .*`), refused: []part{
		{regexp.MustCompile(`\b(?:CHECK|UNIQUE|PRIMARY KEY|GENERATED)\b`),
			"the new column is checked in every row; leave the constraint to the code, or add an index concurrently"},
		// NOT NULL with a constant, and the constant, are removed before.
		{regexp.MustCompile(`\bNOT NULL\b`), "a column that is NOT NULL needs a constant DEFAULT"},
		{regexp.MustCompile(`\bDEFAULT\b`), "the table is rewritten; use a constant as DEFAULT"},
		{regexp.MustCompile(`,`), "one statement adds one column"},
	}},
	{form: form(`ALTER TABLE ` + name + ` ADD CONSTRAINT .* NOT VALID`)},
	{form: form(`ALTER TABLE ` + name + ` VALIDATE CONSTRAINT ` + name), alone: true},
	{form: form(`ALTER TABLE ` + name + ` ALTER COLUMN ` + name +
		` (?:SET DEFAULT ` + constant + `|DROP DEFAULT|DROP NOT NULL)`)},
	{form: form(`CREATE (?:UNIQUE )?INDEX CONCURRENTLY ` + name + ` ON ` + name + ` .*`), alone: true},
	{form: form(`DROP INDEX CONCURRENTLY IF EXISTS ` + name), alone: true},
	{form: form(`ALTER TABLE ` + name + ` DROP (?:COLUMN|CONSTRAINT) ` + name), contract: true},
	{form: form(`ALTER TABLE ` + name + ` RENAME .*`), contract: true},
	{form: form(`DROP TABLE ` + name), contract: true},
}

// instead says what to write instead of frequent statements that no form allows.
var instead = []part{
	{regexp.MustCompile(`^CREATE (?:UNIQUE )?INDEX `),
		"the table cannot be written meanwhile; use CREATE INDEX CONCURRENTLY"},
	{regexp.MustCompile(`^DROP INDEX `),
		"use DROP INDEX CONCURRENTLY IF EXISTS"},
	{regexp.MustCompile(` TYPE `),
		"the table is rewritten; add a column, and drop the old one in a later release"},
	{regexp.MustCompile(` SET NOT NULL$`),
		"every row is checked under a lock"},
	{regexp.MustCompile(` ADD CONSTRAINT `),
		"every row is checked under a lock; add NOT VALID, and validate it in another file"},
	{regexp.MustCompile(`^(?:UPDATE|DELETE|INSERT) `),
		"rows stay locked until the end; change them by a job, in batches"},
}

var (
	defaults = regexp.MustCompile(` DEFAULT ` + constant + `(?: |$)`)
	built    = regexp.MustCompile(`^CREATE (?:UNIQUE )?INDEX CONCURRENTLY ` + name + ` ON `)
	plain    = regexp.MustCompile(`^CREATE (?:UNIQUE )?INDEX ` + name + ` ON ` + name + `[ (]`)
	creates  = regexp.MustCompile(`^CREATE TABLE ` + name + ` `)
)

// problems returns what is wrong with a migration.
func (m Migration) problems() (all []string) {
	problem := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if m.WorksWith >= m.Number {
		problem("works-with=%d: servers of the previous version must work with it", m.WorksWith)
	}
	up, _ := m.parts()
	var statements, created, altered []string
	for text := range strings.SplitSeq(withoutComments(up), ";") {
		if text = strings.ToUpper(strings.Join(strings.Fields(text), " ")); text != "" {
			statements = append(statements, text)
			if found := creates.FindStringSubmatch(text); found != nil {
				created = append(created, found[1])
			}
		}
	}
	if len(statements) == 0 {
		problem("it does nothing")
	}
	for i, text := range statements {
		if found := plain.FindStringSubmatch(text); found != nil && slices.Contains(created, found[2]) {
			continue // of an empty table
		}
		table, text := m.check(text, problem)
		if found := built.FindStringSubmatch(text); found != nil &&
			(i == 0 || statements[i-1] != "DROP INDEX CONCURRENTLY IF EXISTS "+found[1]) {
			problem("%s: a build that was interrupted leaves the index; "+
				"drop it with DROP INDEX CONCURRENTLY IF EXISTS in the statement before", text)
		}
		if table != "" && !slices.Contains(created, table) && !slices.Contains(altered, table) {
			altered = append(altered, table)
		}
	}
	if len(altered) > 1 {
		problem("it locks %s: one keeps its lock while the other is waited for; use a file for each",
			strings.Join(altered, " and "))
	}
	return all
}

// check checks one statement, and returns the existing table that it locks.
func (m Migration) check(text string, problem func(format string, args ...any)) (table, checked string) {
	for _, f := range forms {
		found := f.form.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		switch {
		case f.alone && !m.alone():
			problem("%s: it takes long; add the line %q, and nothing else", text, strings.TrimSpace(noTxLine))
		case !f.alone && m.alone():
			problem("%s: without a transaction a part of the file may be applied; move it to another file", text)
		case f.contract && m.Kind != Contract:
			problem("%s: the previous version uses it; do it a release later, in a contract migration", text)
		}
		rest := defaults.ReplaceAllString(text, " ")
		if rest != text { // a constant: PostgreSQL stores it once
			rest = strings.ReplaceAll(rest, "NOT NULL", "")
		}
		for _, p := range f.refused {
			if p.form.MatchString(rest) {
				problem("%s: %s", text, p.instead)
			}
		}
		if strings.HasPrefix(text, "ALTER TABLE ") && !f.alone {
			return found[1], text
		}
		return "", text
	}
	for _, p := range instead {
		if p.form.MatchString(text) {
			problem("%s: %s", text, p.instead)
			return "", text
		}
	}
	problem("%s: not known to be safe while servers run; see internal/db/migrate/guard_test.go", text)
	return "", text
}

// The guard is only worth something if it refuses.
func TestGuard(t *testing.T) {
	const (
		inTx  = "-- +billet expand works-with=1\n-- +goose Up\n"
		alone = "-- +billet expand works-with=1\n-- +goose NO TRANSACTION\n-- +goose Up\n"
		later = "-- +billet contract works-with=1\n-- +goose Up\n"
	)
	for _, c := range []struct{ text, want string }{
		{inTx + "ALTER TABLE event ADD COLUMN note TEXT;", ""},
		{inTx + "ALTER TABLE event ADD COLUMN note TEXT NOT NULL DEFAULT '';", ""},
		{inTx + "ALTER TABLE event ADD COLUMN n BIGINT DEFAULT 0 NOT NULL; -- why", ""},
		{inTx + "ALTER TABLE event ADD COLUMN u TEXT REFERENCES users (id);", ""},
		{inTx + "CREATE TABLE a (b TEXT NOT NULL);\nCREATE INDEX c ON a (b);", ""},
		{inTx + "INSERT INTO tax (rate) VALUES (1);", ""},
		{inTx + "ALTER TABLE event ALTER COLUMN note DROP NOT NULL;", ""},
		{inTx + "ALTER TABLE event ADD CONSTRAINT x CHECK (a > 0) NOT VALID;", ""},
		{alone + "ALTER TABLE event VALIDATE CONSTRAINT x;", ""},
		{alone + "DROP INDEX CONCURRENTLY IF EXISTS c;\nCREATE INDEX CONCURRENTLY c ON event (a);", ""},
		{later + "ALTER TABLE event DROP COLUMN note;", ""},
		{later + "DROP TABLE a;", ""},

		{inTx, "does nothing"},
		{inTx + "ALTER TABLE event ADD COLUMN note TEXT NOT NULL;", "constant DEFAULT"},
		{inTx + "ALTER TABLE event ADD COLUMN at TIMESTAMP DEFAULT clock_timestamp();", "rewritten"},
		{inTx + "ALTER TABLE event ADD COLUMN x TEXT NOT NULL DEFAULT gen_random_uuid();", "rewritten"},
		{inTx + "ALTER TABLE event ADD COLUMN x BIGINT DEFAULT 0 CHECK (x >= 0);", "leave the constraint"},
		{inTx + "ALTER TABLE event ADD COLUMN x TEXT UNIQUE;", "leave the constraint"},
		{inTx + "ALTER TABLE event ADD COLUMN x TEXT GENERATED ALWAYS AS (id) STORED;", "leave the constraint"},
		{inTx + "ALTER TABLE event ADD COLUMN x TEXT, ADD COLUMN y TEXT;", "one column"},
		{inTx + "ALTER TABLE event ALTER COLUMN seq TYPE NUMERIC;", "rewritten"},
		{inTx + "ALTER TABLE event ALTER COLUMN seq SET NOT NULL;", "every row"},
		{inTx + "CREATE INDEX c ON event (a);", "CONCURRENTLY"},
		{inTx + "CREATE UNIQUE INDEX c ON event (a);", "CONCURRENTLY"},
		{inTx + "CREATE INDEX IF NOT EXISTS c ON event (a);", "CONCURRENTLY"},
		{inTx + "DROP INDEX CONCURRENTLY IF EXISTS c;\nCREATE INDEX CONCURRENTLY c ON event (a);", "NO TRANSACTION"},
		{alone + "CREATE INDEX CONCURRENTLY c ON event (a);", "interrupted"},
		{alone + "ALTER TABLE event ADD COLUMN note TEXT;", "another file"},
		{inTx + "ALTER TABLE event VALIDATE CONSTRAINT x;", "takes long"},
		{inTx + "DROP INDEX c;", "DROP INDEX CONCURRENTLY"},
		{inTx + "ALTER TABLE event ADD CONSTRAINT x CHECK (a > 0);", "NOT VALID"},
		{inTx + "ALTER TABLE event ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES b (c);", "NOT VALID"},
		{inTx + "ALTER TABLE event DROP COLUMN note;", "contract"},
		{inTx + "ALTER TABLE event RENAME COLUMN note TO text;", "contract"},
		{inTx + "ALTER TABLE event RENAME TO events;", "contract"},
		{inTx + "DROP TABLE event;", "contract"},
		{inTx + "UPDATE event SET note = '';", "batches"},
		{inTx + "DELETE FROM event;", "batches"},
		{inTx + "INSERT INTO copy SELECT * FROM event;", "batches"},
		{inTx + "LOCK TABLE event;", "not known to be safe"},
		{inTx + "TRUNCATE event;", "not known to be safe"},
		{inTx + "VACUUM FULL event;", "not known to be safe"},
		{inTx + "ALTER TABLE event SET UNLOGGED;", "not known to be safe"},
		{inTx + "ALTER TABLE event ADD COLUMN a TEXT;\nALTER TABLE job ADD COLUMN b TEXT;", "a file for each"},
		{"-- +billet expand works-with=2\n-- +goose Up\nALTER TABLE event ADD COLUMN note TEXT;", "previous version"},
	} {
		m, err := parse("00002_test.sql", c.text)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(m.problems(), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s\ngot %q, want %q", c.text, got, c.want)
		}
	}
}
