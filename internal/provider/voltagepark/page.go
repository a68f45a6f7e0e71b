package voltagepark

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

const (
	pageSize = 15 // the most that the cloud gives; it gives 3 to who does not ask
	maxRows  = 10_000
	// readings is how often a list that moves under our hands is read anew.
	readings = 3
)

// page is the envelope of every list. The pointers tell a list from what is none.
type page struct {
	Results *[]json.RawMessage `json:"results"`
	Total   *int               `json:"total_result_count"`
	HasNext *bool              `json:"has_next"`
	Before  bool               `json:"has_previous"`
}

// all returns every row of a list, or an error.
func (a *Adapter) all(ctx context.Context, path string) ([]json.RawMessage, error) {
	for range readings {
		rows, whole, err := a.read(ctx, path)
		if err != nil || whole {
			return rows, err
		}
	}
	return nil, unclear("GET %s: the list changes faster than it can be read", path)
}

// read reads the list once. Each page begins with the last row of the one before: where it does not, rows have come or gone in between, and one
// may have slipped from a page that is not read yet to one that has been.
func (a *Adapter) read(ctx context.Context, path string) (rows []json.RawMessage, whole bool, err error) {
	seen, last, total := map[string]bool{}, "", -1
	for {
		var p page
		offset := max(0, len(rows)-1)
		query := url.Values{"limit": {strconv.Itoa(pageSize)}, "offset": {strconv.Itoa(offset)}}
		if err := a.client.Get(ctx, path, query, &p); err != nil {
			return nil, false, err
		}
		if p.Results == nil || p.HasNext == nil {
			return nil, false, unclear("GET %s: the answer is no page of a list", path)
		}
		if p.Total != nil {
			if total >= 0 && *p.Total != total {
				return nil, false, nil
			}
			total = *p.Total
		}
		before := len(rows)
		for i, row := range *p.Results {
			var head struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(row, &head); err != nil || head.ID == "" {
				return nil, false, unclear("GET %s: a row without an id", path)
			}
			if i == 0 && before > 0 {
				if head.ID != last {
					return nil, false, nil
				}
				continue
			}
			if seen[head.ID] {
				return nil, false, nil
			}
			seen[head.ID], last = true, head.ID
			rows = append(rows, row)
		}
		switch {
		case !*p.HasNext:
			return rows, total < 0 || total == len(rows), nil
		case len(rows) == before:
			return nil, false, nil
		case len(rows) > maxRows:
			return nil, false, unclear("GET %s: more than %d rows", path, maxRows)
		}
	}
}

// rows returns every row of a list, or fails: what must not lack a machine cannot leave one out.
func rows[T any](ctx context.Context, a *Adapter, what, path string) ([]T, error) {
	raw, err := a.all(ctx, path)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(raw))
	for i, row := range raw {
		a.strange(what, row)
		if err := json.Unmarshal(row, &out[i]); err != nil {
			return nil, &provider.Error{Kind: provider.KindUnavailable, Cause: err}
		}
	}
	return out, nil
}

// instant reads a time as the cloud writes it, with a zone or without, which is UTC then; the zero time where it is none.
func instant(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
