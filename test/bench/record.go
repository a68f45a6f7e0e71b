package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/billetcloud/billet/internal/id"
)

// step is one call of the database driver.
type step struct {
	kind  kind
	text  string
	args  []any
	begin driver.TxOptions
}

type kind int

const (
	begin kind = iota
	exec
	query
	commit
	rollback
)

// recorder records the calls from database/sql to the driver.
type recorder struct {
	driver.Connector
	mu    sync.Mutex
	steps []step
}

func (r *recorder) note(s step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, s)
}

// take returns the calls since the last take.
func (r *recorder) take() []step {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.steps
	r.steps = nil
	return out
}

// Connect opens a recorded connection.
func (r *recorder) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &heard{c, r}, nil
}

type heard struct {
	driver.Conn
	r *recorder
}

func values(args []driver.NamedValue) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a.Value
	}
	return out
}

func (h *heard) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	h.r.note(step{kind: begin, begin: o})
	tx, err := h.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return heardTx{tx, h.r}, err
}

func (h *heard) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	h.r.note(step{kind: exec, text: text, args: values(args)})
	return h.Conn.(driver.ExecerContext).ExecContext(ctx, text, args)
}

func (h *heard) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	h.r.note(step{kind: query, text: text, args: values(args)})
	return h.Conn.(driver.QueryerContext).QueryContext(ctx, text, args)
}

type heardTx struct {
	driver.Tx
	r *recorder
}

func (t heardTx) Commit() error {
	t.r.note(step{kind: commit})
	return t.Tx.Commit()
}

func (t heardTx) Rollback() error {
	t.r.note(step{kind: rollback})
	return t.Tx.Rollback()
}

// transactions counts the committed write transactions.
func transactions(steps []step) int {
	n, writing := 0, false
	for _, s := range steps {
		switch s.kind {
		case begin:
			writing = !s.begin.ReadOnly
		case commit:
			if writing {
				n++
			}
		}
	}
	return n
}

// made are the ids that a write creates; a repetition must create others.
var made = regexp.MustCompile(`\b(dep|txn|evt|job|aud|bench)_[0-9a-z]{26}\b`)

const (
	insertLines  = "INSERT INTO wallet_transaction "
	numberEvents = "INSERT INTO event_counter "
	insertEvents = "INSERT INTO event "
)

// renewed returns the arguments with new ids in place of those that the recorded request created.
func renewed(steps []step, fresh func(id.Kind) id.ID) []step {
	names := map[string]string{}
	out := slices.Clone(steps)
	for i := range out {
		out[i].args = slices.Clone(out[i].args)
		for j, a := range out[i].args {
			text, is := a.(string)
			if !is || !strings.Contains(text, "_") {
				continue
			}
			out[i].args[j] = made.ReplaceAllStringFunc(text, func(old string) string {
				if names[old] == "" {
					names[old] = string(fresh(id.ID(old).Kind()))
				}
				return names[old]
			})
		}
	}
	return out
}

// repeat runs recorded statements directly on the database's pools, and reads every row.
func repeat(ctx context.Context, read, write *sql.DB, steps []step) error {
	r := repetition{read: read, write: write}
	defer func() {
		if r.tx != nil {
			_ = r.tx.Rollback()
		}
	}()
	for _, s := range steps {
		if err := r.run(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// repetition is the state of repeat.
type repetition struct {
	read, write *sql.DB
	tx          *sql.Tx
	// Of the wallet's newest transaction and the newest event, which the recorded request read
	// before.
	seq, eventSeq any
}

func (r *repetition) run(ctx context.Context, s step) (err error) {
	switch s.kind {
	case begin:
		pool, o := r.write, (*sql.TxOptions)(nil)
		if s.begin.ReadOnly {
			pool, o = r.read, &sql.TxOptions{ReadOnly: true, Isolation: sql.IsolationLevel(s.begin.Isolation)}
		}
		r.tx, err = pool.BeginTx(ctx, o)
	case commit:
		err = r.tx.Commit()
		r.tx = nil
	case rollback:
		err = r.tx.Rollback()
		r.tx = nil
	case exec:
		err = r.exec(ctx, s)
	case query:
		err = r.query(ctx, s)
	}
	return err
}

func (r *repetition) exec(ctx context.Context, s step) error {
	if strings.HasPrefix(strings.TrimSpace(s.text), insertLines) && r.seq != nil {
		s.args[2] = r.seq
	}
	if strings.HasPrefix(strings.TrimSpace(s.text), insertEvents) && r.eventSeq != nil {
		s.args[len(s.args)-1] = r.eventSeq
	}
	if r.tx == nil {
		return errors.New("a statement outside a transaction changes something")
	}
	result, err := r.tx.ExecContext(ctx, s.text, s.args...)
	if err != nil {
		return err
	}
	_, err = result.RowsAffected()
	return err
}

func (r *repetition) query(ctx context.Context, s step) error {
	ask := r.read.QueryContext
	if r.tx != nil {
		ask = r.tx.QueryContext
	}
	rows, err := ask(ctx, s.text, s.args...)
	if err != nil {
		return err
	}
	last, err := drain(rows)
	if strings.Contains(s.text, "UPDATE wallet SET") && len(last) > 3 {
		r.seq = last[3]
	}
	if strings.HasPrefix(strings.TrimSpace(s.text), numberEvents) && len(last) > 1 {
		r.eventSeq = last[1]
	}
	return err
}

// drain reads all rows, and returns the last.
func drain(rows *sql.Rows) ([]any, error) {
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
	}
	return row, rows.Err()
}
