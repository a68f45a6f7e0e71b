package latitude

import (
	"context"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	pageSize = 100
	maxPages = 500
)

// accept is required: without it some responses are 404 or 406.
var accept = http.Header{"Accept": {"application/vnd.api+json"}}

// resource is the form of everything in the API.
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

// send sends a request that changes something. into may be nil.
func (l *Adapter) send(ctx context.Context, method, path, kind string, attributes, into any) error {
	r := upstream.Request{Method: method, Path: path, Header: accept, Into: into}
	if attributes != nil {
		r.Body = sent{sentData{kind, attributes}}
	}
	return l.client.Do(ctx, r)
}

// get reads one resource.
func (l *Adapter) get(ctx context.Context, path string) (resource, error) {
	var response struct{ Data *resource }
	err := l.client.Do(ctx, upstream.Request{Method: http.MethodGet, Path: path, Header: accept, Into: &response})
	if err != nil {
		return resource{}, err
	}
	if response.Data == nil || response.Data.ID == "" {
		return resource{}, upstream.Malformed("the data at "+path, nil)
	}
	return *response.Data, nil
}

// all returns the whole list at the path, and its number of pages.
func (l *Adapter) all(ctx context.Context, path string, filter url.Values) ([]resource, int, error) {
	page := func(ctx context.Context, number int) ([]resource, int, error) {
		query := url.Values{
			"page[size]": {strconv.Itoa(pageSize)}, "page[number]": {strconv.Itoa(number)}, "stats[total]": {"count"},
		}
		maps.Copy(query, filter)
		var response struct {
			Data *[]resource
			Meta json.RawMessage
		}
		err := l.client.Do(ctx, upstream.Request{
			Method: http.MethodGet, Path: path, Query: query, Header: accept, Into: &response,
		})
		if err != nil {
			return nil, 0, err
		}
		if response.Data == nil {
			return nil, 0, upstream.Malformed("the data at "+path, nil)
		}
		return *response.Data, count(response.Meta), nil
	}
	return upstream.Pages[resource]{
		What: "GET " + path, Most: maxPages, Key: func(r resource) string { return r.ID }, Page: page,
	}.All(ctx)
}

// count is meta.stats.total.count; -1 where there is none.
func count(meta json.RawMessage) int {
	var m struct {
		Stats struct {
			Total struct{ Count *int }
		}
	}
	if json.Unmarshal(meta, &m) != nil || m.Stats.Total.Count == nil {
		return -1
	}
	return *m.Stats.Total.Count
}

// newList returns the list at the path. A malformed entry is skipped, and hides no other.
func newList[T any](l *Adapter, path string) *upstream.List[T] {
	return upstream.NewList(l.account.Now, func(ctx context.Context) ([]T, error) {
		list, _, err := l.all(ctx, path, nil)
		if err != nil {
			return nil, err
		}
		var out []T
		for _, r := range list {
			var one T
			if err := json.Unmarshal(r.Attributes, &one); err != nil {
				l.skipped(ctx, path, r.ID)
				continue
			}
			out = append(out, one)
		}
		return out, nil
	})
}

// whole is a number that may come with a fraction, as a string, or not at all. It is rounded down,
// and 0 where it is malformed.
type whole int

// UnmarshalJSON parses the number.
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
