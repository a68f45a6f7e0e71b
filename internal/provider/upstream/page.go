package upstream

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/internal/provider"
)

// pageTries is how often a list that changes while it is read is begun.
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

// All returns the whole list, and of how many pages it was: everything that the cloud has counted, or an error. Where the cloud counts
// nothing, a page that brings nothing new is the end. A list whose count changes while it is read is begun anew.
func (p Pages[T]) All(ctx context.Context) (list []T, pages int, err error) {
	for range pageTries {
		list, pages, whole, err := p.read(ctx)
		if err != nil {
			if provider.KindOf(err) == provider.KindNotFound { // of the list itself, which says nothing of what should be in it
				err = unavailable(fmt.Errorf("the list is not there: %w", err))
			}
			return nil, 0, err
		}
		if whole {
			return list, pages, nil
		}
	}
	return nil, 0, unavailable(fmt.Errorf("%s: the list changes while it is read", p.What))
}

func (p Pages[T]) read(ctx context.Context) (list []T, pages int, whole bool, err error) {
	seen, counted := map[string]bool{}, 0
	for number := 1; number <= p.Most; number++ {
		things, total, err := p.Page(ctx, number)
		if err != nil {
			return nil, 0, false, err
		}
		if total = max(total, -1); number > 1 && total != counted {
			return nil, 0, false, nil
		}
		counted = total
		fresh := 0
		for _, t := range things {
			key := p.Key(t)
			if key == "" {
				return nil, 0, false, unavailable(fmt.Errorf("%s: a thing without an id", p.What))
			}
			if !seen[key] {
				seen[key] = true
				list = append(list, t)
				fresh++
			}
		}
		if counted >= 0 && len(list) >= counted {
			return list, number, true, nil
		}
		if fresh == 0 {
			return list, number, counted < 0, nil
		}
	}
	return nil, 0, false, unavailable(fmt.Errorf("%s: more than %d pages", p.What, p.Most))
}
