package db

import (
	"context"
	"database/sql"
	"errors"
)

// Collect returns the rows of a query, each read by scan: a Table's Scan, Value, or a function of
// the caller's. The slice is never nil.
func Collect[T any](
	ctx context.Context, r Reader, scan func(Row) (T, error), query string, args ...any,
) ([]T, error) {
	out := []T{}
	err := each(ctx, r, func(row Row) error {
		v, err := scan(row)
		out = append(out, v)
		return err
	}, query, args)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// CollectMap is Collect for rows that have a key each.
func CollectMap[K comparable, V any](
	ctx context.Context, r Reader, scan func(Row) (K, V, error), query string, args ...any,
) (map[K]V, error) {
	out := map[K]V{}
	err := each(ctx, r, func(row Row) error {
		k, v, err := scan(row)
		out[k] = v
		return err
	}, query, args)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func each(ctx context.Context, r Reader, f func(Row) error, query string, args []any) error {
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := f(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// Find returns the one row of a query, or false where there is none.
func Find[T any](
	ctx context.Context, r Reader, scan func(Row) (T, error), query string, args ...any,
) (v T, found bool, err error) {
	v, err = scan(r.QueryRow(ctx, query, args...))
	if err != nil {
		var none T
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return none, false, err
	}
	return v, true, nil
}

// Value scans a row of one column.
func Value[T any](row Row) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}

// Pair scans a row of a key and a value.
func Pair[K comparable, V any](row Row) (k K, v V, err error) {
	err = row.Scan(&k, &v)
	return k, v, err
}

// Args returns the values as arguments, such as for In.
func Args[T any](values []T) []any {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return args
}

// Counts returns the numbers by text of a query whose rows are a text and a number, such as one
// that groups and counts.
func Counts(ctx context.Context, r Reader, query string, args ...any) (map[string]int, error) {
	return CollectMap(ctx, r, Pair[string, int], query, args...)
}

// Holding returns which of the conditions hold, in their order. It asks for all of them in one
// statement, so that packages can ask together whether there is anything of theirs to read.
func Holding(ctx context.Context, r Reader, conditions ...Cond) ([]bool, error) {
	var q query
	word := `SELECT `
	hold, into := make([]bool, len(conditions)), make([]any, len(conditions))
	for i, c := range conditions {
		q.add(word+`CASE WHEN `+c.Text+` THEN 1 ELSE 0 END`, c.Args...)
		word, into[i] = `, `, &hold[i]
	}
	return hold, r.QueryRow(ctx, q.text.String(), q.args...).Scan(into...)
}
