package httpapi

import (
	"context"
	"net/http"
	"sync"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/rest"
)

const (
	// maxCached limits the memory of cached responses, in bytes.
	maxCached = 8 << 20
	// maxCachedQuery is the longest query, in bytes, whose response is cached.
	maxCachedQuery = 512
)

// offerCache has responses made from one edition of the catalog, by their query. The catalog is the
// same for all accounts with the same prices and changes seldom, and encoding a page of it takes
// longer than the rest of a request.
type offerCache struct {
	mu      sync.Mutex
	edition catalog.Edition
	bodies  map[string][]byte
	size    int
}

// get returns the response to the query from this edition; nil if it is not cached.
func (k *offerCache) get(edition catalog.Edition, query string) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.edition != edition || k.bodies == nil {
		k.edition, k.bodies, k.size = edition, map[string][]byte{}, 0
	}
	return k.bodies[query]
}

// put caches a response that was made after get had been called with the same edition.
func (k *offerCache) put(edition catalog.Edition, query string, body []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.edition != edition || len(query) > maxCachedQuery {
		return
	}
	if k.size += len(query) + len(body); k.size > maxCached {
		k.bodies, k.size = map[string][]byte{}, len(query)+len(body)
	}
	k.bodies[query] = body
}

// cached answers repeated queries of an operation from memory. The operation must depend on nothing
// but its query, the catalog and the account's prices. The call was admitted before.
func (h offers) cached(next rest.ServeFunc) rest.ServeFunc {
	cache := &offerCache{}
	return func(ctx context.Context, w http.ResponseWriter, c *rest.Call) (rest.Answer, error) {
		if c.Request.Body != nil && c.Request.Body != http.NoBody {
			return next(ctx, w, c) // which refuses a body
		}
		edition, query := h.catalog.Edition(), c.Request.URL.RawQuery
		if key := h.catalog.For(c.Caller.Account).Key(); key != "" {
			query = key + "\x00" + query // no query has that byte
		}
		if body := cache.get(edition, query); body != nil {
			return rest.Answer{Status: http.StatusOK, Body: body}, nil
		}
		a, err := next(ctx, w, c)
		if err == nil && edition == h.catalog.Edition() { // else the account's prices may have changed meanwhile
			cache.put(edition, query, a.Body)
		}
		return a, err
	}
}
