package upstream

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/internal/provider"
)

// pageTries is how often a list is read that lacks what the cloud counts.
const pageTries = 3

// Pages is a list that a cloud gives in pages by their number. All is required.
type Pages[T any] struct {
	// What is the list, for errors: "GET /servers".
	What string
	// Most is how many pages are read at the most.
	Most int
	// Page asks for the page of that number, from 1. total is how many things the cloud counts in the whole list; less than 0 where it does not.
	Page func(ctx context.Context, number int) (things []T, total int, err error)
	// Key is the cloud's id of a thing.
	Key func(thing T) string
}

// All returns the whole list, and of how many pages it was: everything that was on it from the first
// request to the last, or an error. Things may come and go meanwhile: what was read stays read, and
// where the cloud's count changes between two pages, the one before is read again, to which things may
// have slipped. Where the cloud counts nothing, a page that brings nothing new is the end.
func (p Pages[T]) All(ctx context.Context) (list []T, pages int, err error) {
	r := pagesRead[T]{p: p, at: map[string]int{}}
	for range pageTries {
		if err := r.pass(ctx); err != nil {
			if provider.KindOf(err) == provider.KindNotFound { // of the list itself, which says nothing of what should be in it
				err = unavailable(fmt.Errorf("the list is not there: %w", err))
			}
			return nil, 0, err
		}
		if len(r.list) >= r.least {
			return r.list, r.pages, nil
		}
	}
	return nil, 0, unavailable(fmt.Errorf("%s: the list has %d things and is counted as %d", p.What, len(r.list), r.least))
}

// pagesRead is a list while it is read.
type pagesRead[T any] struct {
	p     Pages[T]
	list  []T            // each once, as it was seen last
	at    map[string]int // where in list, by key
	least int            // the fewest that the cloud counted in this pass; less than 0 where it counts none
	pages int
}

// page reads one page, and returns how many things it has and how many of them are new.
func (r *pagesRead[T]) page(ctx context.Context, number int) (things, fresh, total int, err error) {
	all, total, err := r.p.Page(ctx, number)
	if err != nil {
		return 0, 0, 0, err
	}
	for _, t := range all {
		key := r.p.Key(t)
		if key == "" {
			return 0, 0, 0, unavailable(fmt.Errorf("%s: a thing without an id", r.p.What))
		}
		if at, known := r.at[key]; known {
			r.list[at] = t
			continue
		}
		r.at[key] = len(r.list)
		r.list = append(r.list, t)
		fresh++
	}
	if total = max(total, -1); number == 1 && r.pages == 0 || total < r.least {
		r.least = total
	}
	return len(all), fresh, total, nil
}

// pass reads the list from its first page to its last.
func (r *pagesRead[T]) pass(ctx context.Context) error {
	r.pages = 0
	size, counted := 0, 0
	for number := 1; number <= r.p.Most; number++ {
		things, fresh, total, err := r.page(ctx, number)
		if err != nil {
			return err
		}
		r.pages = number
		if number == 1 {
			size = things
		} else if total != counted && total >= 0 {
			_, more, again, err := r.page(ctx, number-1)
			if err != nil {
				return err
			}
			fresh, total = fresh+more, again
		}
		counted = total
		read := (number-1)*size + things
		if counted >= 0 && read >= counted && (len(r.list) >= counted || fresh == 0) || fresh == 0 && (counted < 0 || things == 0) {
			return nil
		}
	}
	return unavailable(fmt.Errorf("%s: more than %d pages", r.p.What, r.p.Most))
}
