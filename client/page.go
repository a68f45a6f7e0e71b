package client

import (
	"context"
	"iter"
	"net/http"
)

// PageSize is the maximum number of entries per page, which iterators request.
const PageSize = 100

// Paging selects a page of a list.
type Paging struct {
	// Page is 1 to 100,000; 0 means 1.
	Page int `query:"page"`
	// Limit is the number of entries per page, 1 to 100; 0 means 20.
	Limit int `query:"limit"`
	// Cursor is the NextCursor of the previous page, instead of Page, with the same filters and
	// sort.
	Cursor string `query:"cursor"`
}

// Pagination describes a page of a list.
type Pagination struct {
	// Page is the number of the page, from 1; Limit the number of entries per page.
	Page  int `json:"page"`
	Limit int `json:"limit"`
	// Total is the number of entries, TotalPages the number of pages. If TotalIsExact is false they
	// are lower bounds, since long lists are not counted to the end.
	Total        int  `json:"total"`
	TotalPages   int  `json:"totalPages"`
	TotalIsExact bool `json:"totalIsExact"`
	// NextCursor is the cursor of the next page; nil on the last.
	NextCursor *string `json:"nextCursor"`
}

// Page is one page of a list.
type Page[T any] struct {
	// Items are the entries in order.
	Items []T
	Pagination
	// Warnings are filters that match nothing because the value is unknown; nil for none.
	Warnings []FieldError
}

// list requests one page.
func list[T any](ctx context.Context, c *Client, r request, options []CallOption) (*Page[T], error) {
	r.method = http.MethodGet
	p := &Page[T]{}
	err := c.do(ctx, r, options, func(body []byte) error {
		e, err := open[[]T](body)
		p.Items, p.Pagination, p.Warnings = e.Data, e.Pagination, e.Warnings
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// all iterates over the pages of a list, starting at the given one, by cursor if the server
// supports it. Otherwise, entries that move to a later page in the meantime are yielded once: key
// identifies them.
func all[T any](
	ctx context.Context, from Paging, fetch func(context.Context, Paging) (*Page[T], error), key func(T) string,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		at := Paging{Page: max(from.Page, 1), Limit: from.Limit, Cursor: from.Cursor}
		if at.Cursor != "" {
			at.Page = 0
		}
		if at.Limit == 0 {
			at.Limit = PageSize
		}
		seen := map[string]bool{}
		for {
			p, err := fetch(ctx, at)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range p.Items {
				if k := key(item); !seen[k] {
					seen[k] = true
					if !yield(item, nil) {
						return
					}
				}
			}
			switch {
			case p.NextCursor != nil:
				at.Page, at.Cursor = 0, *p.NextCursor
			case at.Cursor != "" || p.TotalIsExact || len(p.Items) == 0 || at.Page >= p.TotalPages:
				return
			default: // the server has no cursors
				at.Page++
			}
		}
	}
}
