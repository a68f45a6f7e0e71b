package client

import (
	"context"
	"iter"
	"net/http"
)

// PageSize is how many entries an iterator asks for at once, the most that there are on a page.
const PageSize = 100

// Paging is which page of a list to give.
type Paging struct {
	// Page is from 1 to 100,000; 0 for the first.
	Page int `query:"page"`
	// Limit is how many entries, 1 to 100; 0 for the server's usual 20.
	Limit int `query:"limit"`
	// Cursor is the NextCursor of the page before, in place of Page, with the same filters and sort.
	Cursor string `query:"cursor"`
}

// Pagination is where a page stands in its list.
type Pagination struct {
	// Page is this page, from 1; Limit is how many entries a page has.
	Page  int `json:"page"`
	Limit int `json:"limit"`
	// Total is how many entries there are, TotalPages on how many pages; at least so many where TotalIsExact is false, since a long list
	// is counted up to a bound.
	Total        int  `json:"total"`
	TotalPages   int  `json:"totalPages"`
	TotalIsExact bool `json:"totalIsExact"`
	// NextCursor is for the next page; nil on the last.
	NextCursor *string `json:"nextCursor"`
}

// Page is one page of a list.
type Page[T any] struct {
	// Items are its entries, in the list's order.
	Items []T
	Pagination
}

// list asks for one page.
func list[T any](ctx context.Context, c *Client, r request, options []CallOption) (*Page[T], error) {
	r.method = http.MethodGet
	p := &Page[T]{}
	err := c.do(ctx, r, options, func(body []byte) error {
		e, err := open[[]T](body)
		p.Items, p.Pagination = e.Data, e.Pagination
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// all walks the pages of a list, from the one that is named in the paging, by cursors where the server has them. From one that has none, entries that move to
// a later page meanwhile, since newer ones have come, are given once: key tells them apart.
func all[T any](ctx context.Context, from Paging, ask func(context.Context, Paging) (*Page[T], error), key func(T) string) iter.Seq2[T, error] {
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
			p, err := ask(ctx, at)
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
			default: // a server that has no cursors
				at.Page++
			}
		}
	}
}
