package voltagepark

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	pageSize = 15 // the most that the cloud returns; without a limit it returns 3
	maxRows  = 10_000
	// passes is how often a list is read that has fewer rows than the cloud counts.
	passes = 3
	// churnOverlap is by how many rows pages overlap once rows were seen to go.
	churnOverlap = 3
	// maxRequests bounds one list: the rows, and as many again where rows come and go.
	maxRequests = 3 * maxRows / (pageSize - 1)
)

// page is the envelope of every list. A missing part makes it malformed.
type page struct {
	Results *[]json.RawMessage `json:"results"`
	Total   *int               `json:"total_result_count"`
	HasNext *bool              `json:"has_next"`
	Before  bool               `json:"has_previous"`
}

// reading is a list while it is read.
type reading struct {
	path  string
	rows  []json.RawMessage // each once, as it was seen last
	at    map[string]int    // position in rows, by id
	least int               // the lowest count of this pass; less than 0 where the cloud counts none
	sent  int               // requests
}

// all returns every row that was on the list from the first to the last request, or an error. Rows
// may come and go meanwhile: the position where they did is read again, and what was read stays
// read.
func (a *Adapter) all(ctx context.Context, path string) ([]json.RawMessage, error) {
	r := &reading{path: path, at: map[string]int{}}
	for range passes {
		r.least = -1
		if err := a.read(ctx, r); err != nil {
			return nil, err
		}
		if len(r.rows) >= r.least {
			return r.rows, nil
		}
	}
	return nil, upstream.Unavailable("GET %s: the list has %d rows and is counted as %d", path, len(r.rows), r.least)
}

// read reads the list from its beginning to its end. Each page begins within the one before. Where
// its first row is unknown, rows have gone in between, and one may have moved from a page that is
// not read yet to one that has been. Then the page is begun further back, until its first row is
// known.
func (a *Adapter) read(ctx context.Context, r *reading) error {
	known := map[string]bool{} // without a gap from the beginning
	offset, back, overlap := 0, 1, 1
	for {
		if r.sent++; r.sent > maxRequests {
			return upstream.Unavailable("GET %s: more than %d requests", r.path, maxRequests)
		}
		p, ids, err := a.page(ctx, r.path, offset)
		if err != nil {
			return err
		}
		if p.Total != nil && (r.least < 0 || *p.Total < r.least) {
			r.least = *p.Total
		}
		if len(ids) > 0 && offset > 0 && !known[ids[0]] || len(ids) == 0 && offset > 0 {
			back, overlap = 2*back, churnOverlap // rows probably go between any two requests
			offset = max(0, offset-back)
			continue
		}
		for i, id := range ids {
			known[id] = true
			if at, again := r.at[id]; again {
				r.rows[at] = (*p.Results)[i]
				continue
			}
			r.at[id] = len(r.rows)
			r.rows = append(r.rows, (*p.Results)[i])
		}
		switch {
		case !*p.HasNext:
			return nil
		case len(ids) < 2:
			return upstream.Unavailable("GET %s: a page of %d rows that is not the last", r.path, len(ids))
		case len(r.rows) > maxRows:
			return upstream.Unavailable("GET %s: more than %d rows", r.path, maxRows)
		}
		offset, back = offset+len(ids)-min(overlap, len(ids)-1), 1
	}
}

// page reads the rows from that offset on, and returns their ids beside them.
func (a *Adapter) page(ctx context.Context, path string, offset int) (p page, ids []string, err error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}, "offset": {strconv.Itoa(offset)}}
	if err := a.client.Get(ctx, path, query, &p); err != nil {
		return p, nil, err
	}
	if p.Results == nil || p.HasNext == nil {
		return p, nil, upstream.Unavailable("GET %s: the response is not a page of a list", path)
	}
	seen := map[string]bool{}
	for _, row := range *p.Results {
		var head struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(row, &head); err != nil || head.ID == "" {
			return p, nil, upstream.Unavailable("GET %s: a row without an id", path)
		}
		if seen[head.ID] {
			return p, nil, upstream.Unavailable("GET %s: a page with one row twice", path)
		}
		seen[head.ID] = true
		ids = append(ids, head.ID)
	}
	return p, ids, nil
}

// rows returns every row of a list, or fails: a list of machines must not skip one.
func rows[T any](ctx context.Context, a *Adapter, what, path string) ([]T, error) {
	raw, err := a.all(ctx, path)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(raw))
	for i, row := range raw {
		a.reportUnknownFields(what, row)
		if err := json.Unmarshal(row, &out[i]); err != nil {
			return nil, upstream.Malformed("a "+what, err)
		}
	}
	return out, nil
}
