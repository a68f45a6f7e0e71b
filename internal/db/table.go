package db

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ChunkRows is how many rows one statement writes. PostgreSQL gains little from more. SQLite loses:
// it looks up each placeholder among all of a statement, so that 500 rows at once took nine times
// as long as 25 times 20.
const ChunkRows = 20

// Column is a column of a table and the variable that holds its value.
type Column struct {
	name    string
	pointer any // nil for a derived column
	derived any
}

// Col returns a column whose value the pointer holds: a *string, *int64, *time.Time, *bool,
// *money.Micros, …, a pointer to a pointer where the column may be NULL, or what JSON, SharedJSON,
// Seconds or ZeroAsNull returns.
func Col(name string, pointer any) Column { return Column{name: name, pointer: pointer} }

// Derived returns a column that is written and never read, such as a name in lower case.
func Derived(name string, v any) Column { return Column{name: name, derived: v} }

func (c Column) arg() any {
	if c.pointer == nil {
		return c.derived
	}
	return pointed(c.pointer)
}

// Table reads and writes rows of one table. T names each column once, in the function that NewTable
// takes.
type Table[T any] struct {
	name, columns string
	of            func(*T) []Column
}

// NewTable returns the table of that name, whose columns the function lists for a row.
func NewTable[T any](name string, of func(*T) []Column) Table[T] {
	return Table[T]{name: name, columns: strings.Join(read(of(new(T))), ", "), of: of}
}

// read returns the names of the columns that are read.
func read(columns []Column) []string {
	var names []string
	for _, c := range columns {
		if c.pointer != nil {
			names = append(names, c.name)
		}
	}
	return names
}

// Columns returns the names of the columns that Scan reads, for a SELECT or RETURNING.
func (t Table[T]) Columns() string { return t.columns }

// Scan reads a row that has Columns.
func (t Table[T]) Scan(row Row) (T, error) {
	v := new(T)
	columns := t.of(v)
	dest := make([]any, 0, len(columns))
	for _, c := range columns {
		if c.pointer != nil {
			dest = append(dest, c.pointer)
		}
	}
	err := row.Scan(dest...)
	return *v, err
}

// Select returns the rows that the rest of the statement finds: `WHERE account_id = $1 ORDER BY
// id`.
func (t Table[T]) Select(ctx context.Context, r Reader, rest string, args ...any) ([]T, error) {
	return Collect(ctx, r, t.Scan, `SELECT `+t.columns+` FROM `+t.name+` `+rest, args...)
}

// Find is Select for at most one row.
func (t Table[T]) Find(ctx context.Context, r Reader, rest string, args ...any) (v T, found bool, err error) {
	return Find(ctx, r, t.Scan, `SELECT `+t.columns+` FROM `+t.name+` `+rest, args...)
}

// List returns a list of the table's rows that meet the conditions. The caller adds its order.
func (t Table[T]) List(where ...Cond) List[T] {
	return List[T]{Columns: t.columns, Table: t.name, Where: where, Scan: t.Scan}
}

// Insert writes rows.
func (t Table[T]) Insert(ctx context.Context, tx *Tx, rows ...T) error {
	_, err := t.insert(ctx, tx, rows, func([]Column) string { return "" })
	return err
}

// InsertNew writes those rows whose key, which a unique index has, is not in the table yet, and
// returns how many. Without a key any unique index counts, also a partial one.
func (t Table[T]) InsertNew(ctx context.Context, tx *Tx, key string, rows ...T) (int64, error) {
	if key == "" {
		return t.insert(ctx, tx, rows, func([]Column) string { return ` ON CONFLICT DO NOTHING` })
	}
	return t.insert(ctx, tx, rows, func([]Column) string { return ` ON CONFLICT (` + key + `) DO NOTHING` })
}

// Put writes rows, and overwrites those that have the same key: the columns of a unique index.
func (t Table[T]) Put(ctx context.Context, tx *Tx, key []string, rows ...T) error {
	_, err := t.PutWhere(ctx, tx, key, "", rows...)
	return err
}

// PutWhere is Put for rows that meet a condition, which calls the new one excluded. It returns how
// many were written.
func (t Table[T]) PutWhere(ctx context.Context, tx *Tx, key []string, where string, rows ...T) (int64, error) {
	return t.insert(ctx, tx, rows, func(columns []Column) string {
		var set []string
		for _, c := range columns {
			if !slices.Contains(key, c.name) {
				set = append(set, c.name+` = excluded.`+c.name)
			}
		}
		text := ` ON CONFLICT (` + strings.Join(key, ", ") + `) DO UPDATE SET ` + strings.Join(set, ", ")
		if where != "" {
			text += ` WHERE ` + where
		}
		return text
	})
}

func (t Table[T]) insert(ctx context.Context, tx *Tx, rows []T, tail func([]Column) string) (written int64, err error) {
	for chunk := range slices.Chunk(rows, ChunkRows) {
		query, args := t.InsertSQL(chunk)
		n, err := tx.Exec(ctx, query+tail(t.of(&chunk[0])), args...)
		if err != nil {
			return written, fmt.Errorf("insert into %s: %w", t.name, err)
		}
		written += n
	}
	return written, nil
}

// InsertSQL returns the INSERT of up to ChunkRows rows with its arguments, for a statement that
// goes on behind it.
func (t Table[T]) InsertSQL(rows []T) (query string, args []any) {
	var names []string
	for i := range rows {
		columns := t.of(&rows[i])
		if i == 0 {
			args, names = make([]any, 0, len(columns)*len(rows)), make([]string, len(columns))
			for i, c := range columns {
				names[i] = c.name
			}
		}
		for _, c := range columns {
			args = append(args, c.arg())
		}
	}
	return `INSERT INTO ` + t.name + ` (` + strings.Join(names, ", ") + `) VALUES ` + Tuples(1, len(rows), len(names)),
		args
}

// Update writes the named columns of the row where the conditions hold, and returns how many rows
// it changed.
func (t Table[T]) Update(ctx context.Context, tx *Tx, row *T, columns []string, where ...Cond) (int64, error) {
	var q query
	q.text.WriteString(`UPDATE ` + t.name + ` SET `)
	all := t.of(row)
	for i, name := range columns {
		at := slices.IndexFunc(all, func(c Column) bool { return c.name == name })
		if at < 0 {
			panic("db: the table " + t.name + " has no column " + name)
		}
		if i > 0 {
			q.text.WriteString(`, `)
		}
		q.args = append(q.args, all[at].arg())
		q.text.WriteString(name + ` = $` + strconv.Itoa(len(q.args)))
	}
	q.where(where...)
	n, err := tx.Exec(ctx, q.text.String(), q.args...)
	if err != nil {
		return 0, fmt.Errorf("update %s: %w", t.name, err)
	}
	return n, nil
}

// Delete deletes the rows that meet the conditions, of which there is at least one, and returns how
// many.
func (t Table[T]) Delete(ctx context.Context, tx *Tx, where Cond, more ...Cond) (int64, error) {
	var q query
	q.text.WriteString(`DELETE FROM ` + t.name)
	q.where(append([]Cond{where}, more...)...)
	n, err := tx.Exec(ctx, q.text.String(), q.args...)
	if err != nil {
		return 0, fmt.Errorf("delete from %s: %w", t.name, err)
	}
	return n, nil
}
