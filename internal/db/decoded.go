package db

import (
	"encoding/json"
	"reflect"
	"sync"
)

const (
	// maxDecoded is how many texts of a type are remembered, and longestDecoded how many bytes one
	// has at most: some megabytes in all.
	maxDecoded     = 5000
	longestDecoded = 4 << 10
)

// decoded remembers the values of JSON texts, for SharedJSON.
type decoded[T any] struct {
	mu    sync.Mutex
	known map[string]T
}

// Of returns the value of the text.
func (d *decoded[T]) Of(text string) (T, error) {
	d.mu.Lock()
	v, found := d.known[text]
	d.mu.Unlock()
	if found {
		return v, nil
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, err
	}
	if len(text) > longestDecoded { // such as twenty SSH keys of a tenant
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

// allDecoded holds a *decoded[T] for each type.
var allDecoded sync.Map

func decodedOf[T any]() *decoded[T] {
	key := reflect.TypeFor[T]()
	d, found := allDecoded.Load(key)
	if !found {
		d, _ = allDecoded.LoadOrStore(key, new(decoded[T]))
	}
	return d.(*decoded[T])
}
