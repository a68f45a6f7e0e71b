package billet

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/billetcloud/billet/internal/fault"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	pageSize = 100
	maxPages = 1000
	// listTries is how often a list that changes while it is read is begun.
	listTries = 3
)

// answered is the envelope of an answer with one thing in it.
type answered[T any] struct {
	Success bool `json:"success"`
	Data    *T   `json:"data"`
}

// pageOf is the envelope of one page.
type pageOf[T any] struct {
	Success    bool `json:"success"`
	Data       *[]T `json:"data"`
	Pagination *struct {
		Page       int `json:"page"`
		Limit      int `json:"limit"`
		Total      int `json:"total"`
		TotalPages int `json:"totalPages"`
	} `json:"pagination"`
}

// thing is what a list holds.
type thing interface{ key() string }

// all returns the whole list at the path, and of how many pages it was.
func all[T thing](ctx context.Context, b *Adapter, path string, query url.Values) ([]T, int, error) {
	for range listTries {
		list, pages, whole, err := read[T](ctx, b, path, query)
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

func read[T thing](ctx context.Context, b *Adapter, path string, filter url.Values) (list []T, pages int, whole bool, err error) {
	seen, total := map[string]bool{}, 0
	for page := 1; page <= maxPages; page++ {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}, "page": {strconv.Itoa(page)}}
		for name, values := range filter {
			query[name] = values
		}
		var answer pageOf[T]
		if err := b.client.Get(ctx, path, query, &answer); err != nil {
			return nil, 0, false, err
		}
		p := answer.Pagination
		if answer.Data == nil || p == nil {
			return nil, 0, false, unavailable("GET %s: an answer without data or pagination", path)
		}
		if page > 1 && p.Total != total {
			return nil, 0, false, nil
		}
		total = p.Total
		fresh := 0
		for _, t := range *answer.Data {
			if t.key() == "" {
				return nil, 0, false, unavailable("GET %s: a thing without an id", path)
			}
			if !seen[t.key()] {
				seen[t.key()] = true
				list = append(list, t)
				fresh++
			}
		}
		if len(list) >= total {
			return list, page, true, nil
		}
		if fresh == 0 {
			return nil, 0, false, nil
		}
	}
	return nil, 0, false, unavailable("GET %s: more than %d pages", path, maxPages)
}

// get asks for one thing.
func get[T thing](ctx context.Context, b *Adapter, path string) (T, error) {
	var answer answered[T]
	err := b.client.Get(ctx, path, nil, &answer)
	if err == nil && (answer.Data == nil || (*answer.Data).key() == "") {
		err = unavailable("GET %s: an answer without data", path)
	}
	if err != nil {
		var none T
		return none, err
	}
	return *answer.Data, nil
}

// send changes something, and returns what it has become. key is its Idempotency-Key, or "".
func send[T thing](ctx context.Context, b *Adapter, method, path, key string, body any) (T, error) {
	var answer answered[T]
	r := upstream.Request{Method: method, Path: path, Body: body, Into: &answer, Alone: path == "/deployments"}
	if key != "" {
		r.Header = http.Header{"Idempotency-Key": {key}}
	}
	err := b.client.Do(ctx, r)
	if err == nil && (answer.Data == nil || (*answer.Data).key() == "") {
		err = unavailable("%s %s: an answer without data", method, path)
	}
	if err != nil {
		var none T
		return none, err
	}
	return *answer.Data, nil
}

// kinds are the codes of refusals. What stands for an answer that is not known is left to the status.
var kinds = map[fault.Code]provider.Kind{
	fault.InvalidRequest: provider.KindRejected, fault.MinimumRuntimeNotMet: provider.KindRejected, fault.Conflict: provider.KindRejected,
	fault.RequestTooLarge: provider.KindRejected, fault.Unsupported: provider.KindUnsupported, fault.OfferUnavailable: provider.KindNoCapacity,
	fault.InsufficientBalance: provider.KindQuota, fault.NotFound: provider.KindNotFound, fault.RateLimitExceeded: provider.KindThrottled,
	fault.MissingAPIKey: provider.KindCredentials, fault.InvalidAPIKey: provider.KindCredentials, fault.ExpiredAPIKey: provider.KindCredentials,
	fault.RevokedAPIKey: provider.KindCredentials, fault.InsufficientScope: provider.KindCredentials, fault.NetworkNotAllowed: provider.KindCredentials,
	// Under our key there is another request, so something was made: the next look finds it.
	fault.IdempotencyKeyReused: provider.KindUnavailable, fault.RequestTimeout: provider.KindUnavailable,
}

// explain reads the code of a refusal.
func explain(status int, body []byte) *provider.Error {
	var said struct {
		Error struct{ Code fault.Code }
	}
	if status/100 != 4 || json.Unmarshal(body, &said) != nil {
		return nil
	}
	if kind, known := kinds[said.Error.Code]; known {
		return &provider.Error{Kind: kind}
	}
	return nil
}
