package upstream

import (
	"context"

	"github.com/billetcloud/billet/internal/provider"
)

// pageTries is how often a list is read that has fewer entries than the cloud counts.
const pageTries = 3

// Pages is a list that a cloud returns in numbered pages. All fields are required.
type Pages[T any] struct {
	// What is the list, for errors: "GET /servers".
	What string
	// Most is how many pages are read at most.
	Most int
	// Page reads the page of that number, from 1. total is how many entries the cloud counts in the
	// whole list; less than 0 where it does not count.
	Page func(ctx context.Context, number int) (entries []T, total int, err error)
	// Key is the cloud's id of an entry.
	Key func(entry T) string
}

// All returns the whole list and its number of pages: every entry that was on it from the first
// request to the last, or an error. Entries may come and go meanwhile. What was read stays read.
// Where the cloud's count changes between two pages, entries may have moved to the page before, so
// that is read again. Where the cloud does not count, a page without anything new is the end.
func (p Pages[T]) All(ctx context.Context) (list []T, pages int, err error) {
	r := pageReader[T]{p: p, at: map[string]int{}}
	for range pageTries {
		if err := r.readAll(ctx); err != nil {
			// The list's own path, which says nothing about its entries.
			if provider.IsKind(err, provider.KindNotFound) {
				err = Unavailable("the list was not found: %w", err)
			}
			return nil, 0, err
		}
		if len(r.list) >= r.least {
			return r.list, r.pages, nil
		}
	}
	return nil, 0, Unavailable("%s: the list has %d entries and is counted as %d", p.What, len(r.list), r.least)
}

// pageReader is a list while it is read.
type pageReader[T any] struct {
	p     Pages[T]
	list  []T            // each once, as it was seen last
	at    map[string]int // position in list, by key
	least int            // the lowest count of this pass; less than 0 where the cloud counts none
	pages int
}

// page reads one page, and returns how many entries it has and how many of them are new.
func (r *pageReader[T]) page(ctx context.Context, number int) (entries, fresh, total int, err error) {
	all, total, err := r.p.Page(ctx, number)
	if err != nil {
		return 0, 0, 0, err
	}
	for _, entry := range all {
		key := r.p.Key(entry)
		if key == "" {
			return 0, 0, 0, Unavailable("%s: an entry without an id", r.p.What)
		}
		if at, known := r.at[key]; known {
			r.list[at] = entry
			continue
		}
		r.at[key] = len(r.list)
		r.list = append(r.list, entry)
		fresh++
	}
	if total = max(total, -1); number == 1 && r.pages == 0 || total < r.least {
		r.least = total
	}
	return len(all), fresh, total, nil
}

// readAll reads the list from its first page to its last.
func (r *pageReader[T]) readAll(ctx context.Context) error {
	r.pages = 0
	size, counted := 0, 0
	for number := 1; number <= r.p.Most; number++ {
		entries, fresh, total, err := r.page(ctx, number)
		if err != nil {
			return err
		}
		r.pages = number
		if number == 1 {
			size = entries
		} else if total != counted && total >= 0 {
			_, more, again, err := r.page(ctx, number-1)
			if err != nil {
				return err
			}
			fresh, total = fresh+more, again
		}
		counted = total
		read := (number-1)*size + entries
		complete := counted >= 0 && read >= counted && (len(r.list) >= counted || fresh == 0)
		exhausted := fresh == 0 && (counted < 0 || entries == 0)
		if complete || exhausted {
			return nil
		}
	}
	return Unavailable("%s: more than %d pages", r.p.What, r.p.Most)
}
