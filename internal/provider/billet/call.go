package billet

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	pageSize = 100
	maxPages = 1000
)

// single is the envelope of one entry.
type single[T any] struct {
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
		// NextCursor is missing where the other Billet has no cursors.
		NextCursor *string `json:"nextCursor"`
	} `json:"pagination"`
}

// entry is what a list has.
type entry interface{ key() string }

// all returns the whole list at the path, and its number of pages.
func all[T entry](ctx context.Context, b *Adapter, path string, filter url.Values) ([]T, int, error) {
	read, next := 0, (*string)(nil) // page numbers reach the first 10,000 entries only
	page := func(ctx context.Context, number int) ([]T, int, error) {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}, "page": {strconv.Itoa(number)}}
		if number > 1 && number == read+1 && next != nil {
			query = url.Values{"limit": {strconv.Itoa(pageSize)}, "cursor": {*next}}
		}
		maps.Copy(query, filter)
		var response pageOf[T]
		if err := b.client.Get(ctx, path, query, &response); err != nil {
			return nil, 0, err
		}
		if response.Data == nil || response.Pagination == nil {
			return nil, 0, upstream.Malformed("the data and pagination at "+path, nil)
		}
		read, next = number, response.Pagination.NextCursor
		return *response.Data, response.Pagination.Total, nil
	}
	return upstream.Pages[T]{What: "GET " + path, Most: maxPages, Key: T.key, Page: page}.All(ctx)
}

func newList[T entry](b *Adapter, path string) *upstream.List[T] {
	return upstream.NewList(b.account.Now, func(ctx context.Context) ([]T, error) {
		list, _, err := all[T](ctx, b, path, nil)
		return list, err
	})
}

// get reads one entry.
func get[T entry](ctx context.Context, b *Adapter, path string) (T, error) {
	return do[T](ctx, b, upstream.Request{Method: http.MethodGet, Path: path})
}

// send sends a request that changes something, and returns the result. key is its Idempotency-Key,
// or "".
func send[T entry](ctx context.Context, b *Adapter, method, path, key string, body any) (T, error) {
	r := upstream.Request{Method: method, Path: path, Body: body, OwnLimit: path == "/deployments"}
	if key != "" {
		r.Header = http.Header{"Idempotency-Key": {key}}
	}
	return do[T](ctx, b, r)
}

func do[T entry](ctx context.Context, b *Adapter, r upstream.Request) (T, error) {
	var response single[T]
	r.Into = &response
	err := b.client.Do(ctx, r)
	if err == nil && (response.Data == nil || (*response.Data).key() == "") {
		err = upstream.Malformed("the data of "+r.Method+" "+r.Path, nil)
	}
	if err != nil {
		var none T
		return none, err
	}
	return *response.Data, nil
}

// kinds are the codes of refusals. The status decides about others.
var kinds = map[apierr.Code]provider.Kind{
	apierr.InvalidRequest: provider.KindRejected, apierr.MinimumRuntimeNotMet: provider.KindRejected,
	apierr.Conflict: provider.KindRejected, apierr.PreconditionFailed: provider.KindRejected,
	apierr.RequestTooLarge: provider.KindRejected, apierr.Unsupported: provider.KindUnsupported,
	apierr.OfferUnavailable:    provider.KindNoCapacity,
	apierr.InsufficientBalance: provider.KindQuota, apierr.QuotaExceeded: provider.KindQuota,
	apierr.BudgetExceeded:   provider.KindQuota,
	apierr.AccountSuspended: provider.KindQuota, apierr.NotFound: provider.KindNotFound,
	apierr.RateLimitExceeded: provider.KindThrottled,
	apierr.MissingAPIKey:     provider.KindCredentials, apierr.InvalidAPIKey: provider.KindCredentials,
	apierr.ExpiredAPIKey: provider.KindCredentials,
	apierr.RevokedAPIKey: provider.KindCredentials, apierr.InsufficientScope: provider.KindCredentials,
	apierr.NetworkNotAllowed: provider.KindCredentials,
	// Our key has another request, so something was created: the next list shows it.
	apierr.IdempotencyKeyReused: provider.KindUnavailable, apierr.RequestTimeout: provider.KindUnavailable,
}

// explain reads the code of a refusal.
func explain(status int, body []byte) *provider.Error {
	var response struct {
		Error struct{ Code apierr.Code }
	}
	if status/100 != 4 || json.Unmarshal(body, &response) != nil {
		return nil
	}
	if kind, known := kinds[response.Error.Code]; known {
		return &provider.Error{Kind: kind}
	}
	return nil
}
