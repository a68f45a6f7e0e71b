package account

import (
	"sync"
	"time"
)

const (
	// KeyFresh is how long a key that was read is taken for what the database holds, in real time: whoever revokes a key in
	// another process waits for it before saying that the key is dead. It is long enough for a busy key to cost no reads.
	KeyFresh = 100 * time.Millisecond
	// maxRemembered bounds the memory: some 10 MB.
	maxRemembered = 20_000
)

// remembered are keys that were read a moment ago, by the hash of their secret. What is not a key is never remembered.
type remembered struct {
	mu sync.Mutex
	// changes counts what was forgotten, so that a read that began before a change is not remembered after it.
	changes int64
	keys    map[string]rememberedKey
}

type rememberedKey struct {
	Key
	read time.Time
}

// get returns the key; found is false where it is not known to be fresh. seen is for put.
func (r *remembered) get(hash string, now time.Time) (k Key, found bool, seen int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, known := r.keys[hash]
	age := now.Sub(m.read)
	return m.Key, known && age >= 0 && age < KeyFresh, r.changes // a clock that was set back proves nothing
}

// put remembers a key that was read at now or later, after get had returned seen.
func (r *remembered) put(hash string, k Key, now time.Time, seen int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changes != seen {
		return
	}
	if r.keys == nil || len(r.keys) >= maxRemembered {
		r.keys = map[string]rememberedKey{}
	}
	r.keys[hash] = rememberedKey{k, now}
}

// forget has every key read anew: one has changed. Keys change seldom, and a read costs little.
func (r *remembered) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	clear(r.keys)
}
