package account

import (
	"sync"
	"time"
)

const (
	// KeyFresh is how long a key that was read is used without another query, in real time. A
	// process that revokes a key waits that long before it reports that the key is revoked. It is
	// long enough for a busy key to cost few queries.
	KeyFresh = 100 * time.Millisecond
	// maxRemembered limits the memory to about 10 MB.
	maxRemembered = 20_000
)

// remembered caches keys that were read a moment ago, by the hash of their secret. Unknown secrets
// are not cached.
type remembered struct {
	mu sync.Mutex
	// changes counts calls of forget, so that a read which began before a change is not cached
	// after it.
	changes int64
	keys    map[string]rememberedKey
}

type rememberedKey struct {
	Key
	read time.Time
}

// get returns the key; found is false if it is not cached or not fresh. seen is for put.
func (r *remembered) get(hash string, now time.Time) (k Key, found bool, seen int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, known := r.keys[hash]
	age := now.Sub(m.read)
	return m.Key, known && age >= 0 && age < KeyFresh, r.changes // a clock that was set back gives a negative age
}

// put caches a key that was read at now or later, after get returned seen.
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

// forget clears the cache because a key has changed. Keys change rarely, and a query is cheap.
func (r *remembered) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	clear(r.keys)
}
