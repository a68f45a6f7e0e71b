package db

import "context"

// Counts runs a query whose rows are a text and a number, such as one that groups and counts, and returns the numbers by text.
func Counts(ctx context.Context, r Reader, query string, args ...any) (map[string]int, error) {
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]int{}
	for rows.Next() {
		var of string
		var n int
		if err := rows.Scan(&of, &n); err != nil {
			return nil, err
		}
		out[of] = n
	}
	return out, rows.Err()
}
