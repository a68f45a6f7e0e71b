package latitude

import (
	"context"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	pageSize = 100
	maxPages = 500
	// listTries is how often a list that changes while it is read is begun.
	listTries = 3
)

// accept is what the API wants; without it some answers are 404 or 406.
var accept = http.Header{"Accept": {"application/vnd.api+json"}}

// resource is a thing as the API writes it.
type resource struct {
	ID            string          `json:"id"`
	Type          string          `json:"type"`
	Attributes    json.RawMessage `json:"attributes"`
	Relationships json.RawMessage `json:"relationships"`
}

// sent is the body of a request.
type sent struct {
	Data sentData `json:"data"`
}

type sentData struct {
	Type       string `json:"type"`
	Attributes any    `json:"attributes"`
}

// send changes something. into may be nil.
func (l *Adapter) send(ctx context.Context, method, path, kind string, attributes, into any) error {
	r := upstream.Request{Method: method, Path: path, Header: accept, Into: into}
	if attributes != nil {
		r.Body = sent{sentData{kind, attributes}}
	}
	return l.client.Do(ctx, r)
}

// get asks for one thing.
func (l *Adapter) get(ctx context.Context, path string) (resource, error) {
	var answer struct{ Data *resource }
	if err := l.client.Do(ctx, upstream.Request{Method: http.MethodGet, Path: path, Header: accept, Into: &answer}); err != nil {
		return resource{}, err
	}
	if answer.Data == nil || answer.Data.ID == "" {
		return resource{}, unavailable("GET %s: an answer without data", path)
	}
	return *answer.Data, nil
}

// all returns the whole list at the path, and of how many pages it was.
func (l *Adapter) all(ctx context.Context, path string, filter url.Values) ([]resource, int, error) {
	for range listTries {
		list, pages, whole, err := l.read(ctx, path, filter)
		if err != nil {
			if provider.KindOf(err) == provider.KindNotFound { // of the list itself, which says nothing of what should be in it
				err = unavailable("the list is not there: %w", err)
			}
			return nil, 0, err
		}
		if whole {
			return list, pages, nil
		}
	}
	return nil, 0, unavailable("GET %s: the list changes while it is read", path)
}

func (l *Adapter) read(ctx context.Context, path string, filter url.Values) (list []resource, pages int, whole bool, err error) {
	seen := map[string]bool{}
	total, counted := 0, false
	for page := 1; page <= maxPages; page++ {
		query := url.Values{"page[size]": {strconv.Itoa(pageSize)}, "page[number]": {strconv.Itoa(page)}, "stats[total]": {"count"}}
		for name, values := range filter {
			query[name] = values
		}
		var answer struct {
			Data *[]resource
			Meta json.RawMessage
		}
		if err := l.client.Do(ctx, upstream.Request{Method: http.MethodGet, Path: path, Query: query, Header: accept, Into: &answer}); err != nil {
			return nil, 0, false, err
		}
		if answer.Data == nil {
			return nil, 0, false, unavailable("GET %s: an answer without data", path)
		}
		n, says := count(answer.Meta)
		if page > 1 && (says != counted || n != total) {
			return nil, 0, false, nil
		}
		total, counted = n, says
		fresh := 0
		for _, r := range *answer.Data {
			if r.ID == "" {
				return nil, 0, false, unavailable("GET %s: a thing without an id", path)
			}
			if !seen[r.ID] {
				seen[r.ID] = true
				list = append(list, r)
				fresh++
			}
		}
		if counted && len(list) >= total {
			return list, page, true, nil
		}
		if fresh == 0 {
			return list, page, !counted, nil
		}
	}
	return nil, 0, false, unavailable("GET %s: more than %d pages", path, maxPages)
}

// count is meta.stats.total.count.
func count(meta json.RawMessage) (int, bool) {
	var m struct {
		Stats struct {
			Total struct{ Count *int }
		}
	}
	if json.Unmarshal(meta, &m) != nil || m.Stats.Total.Count == nil || *m.Stats.Total.Count < 0 {
		return 0, false
	}
	return *m.Stats.Total.Count, true
}

// some returns what can be read of a list in which one thing that cannot must not hide the others.
func some[T any](ctx context.Context, l *Adapter, path string) ([]T, error) {
	list, _, err := l.all(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	var out []T
	for _, r := range list {
		var one T
		if err := json.Unmarshal(r.Attributes, &one); err != nil {
			l.note(ctx, "what cannot be read at "+path, r.ID)
			continue
		}
		out = append(out, one)
	}
	return out, nil
}

// whole is a number that may come with a fraction, as a text, or not at all. It is 0 where it is none, and rounded down.
type whole int

// UnmarshalJSON reads the number.
func (n *whole) UnmarshalJSON(b []byte) error {
	*n = 0
	text := strings.Trim(string(b), `" `)
	if len(text) > 20 || strings.ContainsAny(text, "eE/xX_pP") {
		return nil
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok || r.Sign() < 0 {
		return nil
	}
	const most = 1_000_000_000
	if v := new(big.Int).Quo(r.Num(), r.Denom()); v.IsInt64() && v.Int64() <= most {
		*n = whole(v.Int64())
	}
	return nil
}

func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
