package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/db"
)

// Kind is what a migration does to servers of the previous version.
type Kind string

// The kinds.
const (
	// First is the kind of the first migration, which creates the schema.
	First Kind = "first"
	// Expand only adds what the previous version does not use.
	Expand Kind = "expand"
	// Contract removes what the previous version no longer uses.
	Contract Kind = "contract"
)

// Migration is a file below sql/.
type Migration struct {
	Number int64  `json:"number"`
	Name   string `json:"name"`
	Kind   Kind   `json:"kind"`
	// WorksWith is the smallest schema number of servers that work with the database after it.
	WorksWith int64 `json:"worksWith"`

	file, text, fingerprint string
}

// SQL returns the statements that apply the migration.
func (m Migration) SQL() string {
	up, _ := m.parts()
	return strings.TrimSpace(up)
}

const (
	upLine   = "-- +goose Up\n"
	downLine = "-- +goose Down"
	noTxLine = "-- +goose NO TRANSACTION\n"
)

var header = regexp.MustCompile(`(?m)^-- \+billet (expand|contract) works-with=([1-9][0-9]*)$`)

// sources reads the migrations in dir, in their order.
func sources(dir fs.FS) (all []Migration, err error) {
	names, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names { // sorted, and the numbers have leading zeros
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		m, err := parse(name, string(text))
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		if len(all) > 0 && m.Number <= all[len(all)-1].Number {
			return nil, fmt.Errorf("migration %s: its number is not above that of the file before it", name)
		}
		all = append(all, m)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no migration")
	}
	return all, nil
}

func parse(file, text string) (m Migration, err error) {
	number, rest, _ := strings.Cut(strings.TrimSuffix(path.Base(file), ".sql"), "_")
	m = Migration{Name: rest, Kind: First, WorksWith: 1, file: file, text: text}
	if m.Number, err = strconv.ParseInt(number, 10, 64); err != nil {
		return m, err
	}
	if !strings.Contains(text, upLine) {
		return m, fmt.Errorf("the line %q is missing", strings.TrimSpace(upLine))
	}
	if m.Number > 1 {
		found := header.FindStringSubmatch(text)
		if found == nil {
			return m, fmt.Errorf("a line such as `-- +billet expand works-with=%d` is missing", m.Number-1)
		}
		m.Kind = Kind(found[1])
		if m.WorksWith, err = strconv.ParseInt(found[2], 10, 64); err != nil || m.WorksWith > m.Number {
			return m, fmt.Errorf("works-with must be a schema number up to %d", m.Number)
		}
	}
	up, _ := m.parts()
	sum := sha256.Sum256([]byte(strings.Join(strings.Fields(withoutComments(up)), " ")))
	m.fingerprint = hex.EncodeToString(sum[:])
	return m, nil
}

// parts returns what applies the migration and what reverts it.
func (m Migration) parts() (up, down string) {
	_, up, _ = strings.Cut(m.text, upLine)
	if i := strings.Index(up, downLine); i >= 0 {
		up, down = up[:i], up[i:]
	}
	return up, down
}

// withoutComments removes what follows -- outside a literal.
func withoutComments(text string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(text[i:], "--"):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return b.String()
			}
			i += end
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// alone reports whether the migration runs outside a transaction on PostgreSQL.
func (m Migration) alone() bool { return strings.Contains(m.text, noTxLine) }

// prepare returns the text that the engine runs: with limits on PostgreSQL, and with the statement
// that records the migration.
func (m Migration) prepare(engine db.Engine, by string) string {
	up, down := m.parts()
	record := recording(m, by)
	switch {
	case engine != db.Postgres:
		up = strings.ReplaceAll(up, "INDEX CONCURRENTLY ", "INDEX ")
	case m.alone():
		return noTxLine + upLine + "SET statement_timeout = 0;\nSET lock_timeout = 0;\n" + up +
			"\n" + record + "\nRESET statement_timeout;\nRESET lock_timeout;\n" + down
	default:
		up = fmt.Sprintf("SET LOCAL lock_timeout = %d;\nSET LOCAL statement_timeout = %d;\n",
			lockTime.Milliseconds(), statementTime.Milliseconds()) + up
	}
	return upLine + up + "\n" + record + "\n" + down
}

// prepared are files of which some have another content.
type prepared struct {
	fs.FS
	texts map[string]string
}

func (p prepared) Open(name string) (fs.File, error) {
	f, err := p.FS.Open(name)
	text, is := p.texts[name]
	if err != nil || !is {
		return f, err
	}
	return content{f, strings.NewReader(text)}, nil
}

type content struct {
	fs.File
	text *strings.Reader
}

func (c content) Read(b []byte) (int, error) { return c.text.Read(b) }
