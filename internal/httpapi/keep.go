package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/billetcloud/billet/internal/catalog"
)

const (
	// maxKept bounds the memory of kept answers, in bytes.
	maxKept = 8 << 20
	// maxKeptQuery is the longest query, in bytes, whose answer is kept.
	maxKeptQuery = 512
)

// keptAnswers are answers made from one edition of the catalogue, by the query that they answer. The catalogue is the
// same for everybody with the same markup and changes seldom; to encode a page of it takes longer than all else that a request needs.
type keptAnswers struct {
	mu      sync.Mutex
	edition catalog.Edition
	bodies  map[string][]byte
	size    int
}

// get returns what the query was answered with from this edition; nil where it was not.
func (k *keptAnswers) get(edition catalog.Edition, query string) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.edition != edition || k.bodies == nil {
		k.edition, k.bodies, k.size = edition, map[string][]byte{}, 0
	}
	return k.bodies[query]
}

// put keeps an answer that was made after get had been asked with the same edition.
func (k *keptAnswers) put(edition catalog.Edition, query string, body []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.edition != edition || len(query) > maxKeptQuery {
		return
	}
	if k.size += len(query) + len(body); k.size > maxKept {
		k.bodies, k.size = map[string][]byte{}, len(query)+len(body)
	}
	k.bodies[query] = body
}

// keep has a GET that depends on nothing but its query, the catalogue and the account's own markup answer repeated queries from memory. Who may
// ask, and how often, was settled before.
func (s *server) keep(o spec) {
	rt := s.paths[o.path].routes[o.method]
	serve, kept := rt.serve, &keptAnswers{}
	rt.serve = func(ctx context.Context, w http.ResponseWriter, c *call) (answer, error) {
		if c.request.Body != nil && c.request.Body != http.NoBody {
			return serve(ctx, w, c) // which says what it thinks of a body
		}
		edition, query := s.c.Catalog.Edition(), c.request.URL.RawQuery
		if markup, own := s.c.Catalog.For(c.account).OwnMarkup(); own {
			query = fmt.Sprintf("%d\x00%s", markup, query) // no query has that byte
		}
		if body := kept.get(edition, query); body != nil {
			return answer{Status: http.StatusOK, Body: body}, nil
		}
		a, err := serve(ctx, w, c)
		if err == nil && edition == s.c.Catalog.Edition() { // else somebody's markup may be another by now
			kept.put(edition, query, a.Body)
		}
		return a, err
	}
}
