package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"
)

// keptStatements is how many statements a connection keeps prepared: more than there are texts,
// except for lists of values of every length.
const keptStatements = 300

// connector opens connections that keep their statements: to parse and plan a short one takes
// SQLite longer than to run it.
type connector struct {
	driver.Connector
	begin string // what begins a transaction that may write
}

// Connect opens a connection.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	able, is := raw.(capabilities)
	if !is {
		return nil, errors.Join(errors.New("sqlite: the driver's connections have changed"), raw.Close())
	}
	return &conn{capabilities: able, begin: c.begin, kept: map[string]*statement{}}, nil
}

// capabilities are those of the driver's connections, all of which go on being had.
type capabilities interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// conn is one connection. database/sql ensures exclusive use.
type conn struct {
	capabilities
	begin string
	kept  map[string]*statement
	calls int64
}

// statement is a prepared one. A changed schema makes SQLite prepare it again by itself.
type statement struct {
	driver.Stmt
	busy bool  // its rows are being read
	last int64 // call that used it
}

// take returns an unused statement of that text.
func (c *conn) take(ctx context.Context, text string) (*statement, error) {
	c.calls++
	if s := c.kept[text]; s != nil && !s.busy {
		s.busy, s.last = true, c.calls
		return s, nil
	}
	raw, err := c.capabilities.PrepareContext(ctx, unnumbered(text))
	if err != nil {
		return nil, err
	}
	s := &statement{Stmt: raw, busy: true, last: c.calls}
	if c.kept[text] == nil && (len(c.kept) < keptStatements || c.forget()) {
		c.kept[text] = s
	}
	return s, nil
}

// unnumbered writes ? for each of $1, $2, $3, … where they stand in this order, each once, as in
// the rows of an INSERT. It means the same, but SQLite need not find each of them by name among
// all, which for hundreds of them takes longer than to insert the rows. Any other text is left as
// it is.
func unnumbered(text string) string {
	out := make([]byte, 0, len(text))
	next := 1
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\'' || c == '"' || c == '`':
			n := strings.IndexByte(text[i+1:], c)
			if n < 0 {
				return text
			}
			out = append(out, text[i:i+n+2]...)
			i += n + 2
		case c == '-' && strings.HasPrefix(text[i:], "--"), c == '/' && strings.HasPrefix(text[i:], "/*"), c == '?',
			c == '[', c == ':', c == '@':
			return text
		case c == '$':
			end := i + 1
			for end < len(text) && text[end] >= '0' && text[end] <= '9' {
				end++
			}
			if text[i+1:end] != strconv.Itoa(next) {
				return text
			}
			out = append(out, '?')
			next, i = next+1, end
		default:
			out = append(out, c)
			i++
		}
	}
	return string(out)
}

// give takes back a statement; one that is not kept ends.
func (c *conn) give(text string, s *statement) error {
	s.busy = false
	if c.kept[text] == s {
		return nil
	}
	return s.Close()
}

// forget closes the statement that was unused for longest, and reports whether it could.
func (c *conn) forget() bool {
	oldest := ""
	for text, s := range c.kept {
		if !s.busy && (oldest == "" || s.last < c.kept[oldest].last) {
			oldest = text
		}
	}
	if oldest == "" {
		return false
	}
	_ = c.kept[oldest].Close() // it is at rest: there is nothing that could fail
	delete(c.kept, oldest)
	return true
}

// ExecContext runs a statement that returns no rows.
func (c *conn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	r, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	return r, errors.Join(err, c.give(text, s))
}

// QueryContext runs a statement that returns rows. It is busy until they are closed.
func (c *conn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	found, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, c.give(text, s))
	}
	return &rows{found, c, text, s}, nil
}

// BeginTx begins a transaction with a kept statement. A read-only one never waits.
func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	text := c.begin
	if o.ReadOnly {
		ctx, text = context.Background(), "BEGIN"
	}
	if _, err := c.ExecContext(ctx, text, nil); err != nil {
		_ = c.end("ROLLBACK") // it may have begun just before the context ended; else there is nothing to roll back
		return nil, err
	}
	return tx{c}, nil
}

// end ends the transaction, even if the context that it began with has ended, which database/sql
// checks.
func (c *conn) end(text string) error {
	_, err := c.ExecContext(context.Background(), text, nil)
	return err
}

type tx struct{ c *conn }

// Commit leaves no transaction behind, also where it fails.
func (t tx) Commit() error {
	err := t.c.end("COMMIT")
	if err != nil {
		_ = t.c.end("ROLLBACK")
	}
	return err
}

func (t tx) Rollback() error { return t.c.end("ROLLBACK") }

// Close ends the statements and the connection.
func (c *conn) Close() error {
	var errs []error
	for _, s := range c.kept {
		errs = append(errs, s.Close())
	}
	clear(c.kept)
	return errors.Join(append(errs, c.capabilities.Close())...)
}

type rows struct {
	driver.Rows
	c    *conn
	text string
	s    *statement
}

// Close gives the statement back. database/sql calls it once.
func (r *rows) Close() error { return errors.Join(r.Rows.Close(), r.c.give(r.text, r.s)) }
