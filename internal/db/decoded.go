package db

import (
	"encoding/json"
	"sync"
)

const (
	// maxDecoded is how many texts of a kind are remembered, and longestDecoded how many bytes one has at most: some megabytes in all.
	maxDecoded     = 5000
	longestDecoded = 4 << 10
)

// Decoded remembers what the JSON texts of rows mean: lists show the same rows again and again, and to decode them takes
// longer than to read them from the database. Values are shared, so nobody changes what a slice of one holds.
type Decoded[T any] struct {
	mu    sync.Mutex
	known map[string]T
}

// Of returns what the text means.
func (d *Decoded[T]) Of(text string) (T, error) {
	d.mu.Lock()
	v, found := d.known[text]
	d.mu.Unlock()
	if found {
		return v, nil
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, err
	}
	if len(text) > longestDecoded { // twenty keys of a tenant's, say
		return v, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil || len(d.known) >= maxDecoded {
		d.known = map[string]T{}
	}
	d.known[text] = v
	return v, nil
}
