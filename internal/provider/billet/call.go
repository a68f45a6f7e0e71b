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
		// NextCursor is missing in the answers of a Billet that has no cursors.
		NextCursor *string `json:"nextCursor"`
	} `json:"pagination"`
}

// thing is what a list holds.
type thing interface{ key() string }

// all returns the whole list at the path, and of how many pages it was.
func all[T thing](ctx context.Context, b *Adapter, path string, filter url.Values) ([]T, int, error) {
	read, next := 0, (*string)(nil) // page numbers reach the first 10,000 entries only
	return upstream.Pages[T]{What: "GET " + path, Most: maxPages, Key: T.key, Page: func(ctx context.Context, number int) ([]T, int, error) {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}, "page": {strconv.Itoa(number)}}
		if number > 1 && number == read+1 && next != nil {
			query = url.Values{"limit": {strconv.Itoa(pageSize)}, "cursor": {*next}}
		}
		maps.Copy(query, filter)
		var answer pageOf[T]
		if err := b.client.Get(ctx, path, query, &answer); err != nil {
			return nil, 0, err
		}
		if answer.Data == nil || answer.Pagination == nil {
			return nil, 0, unavailable("GET %s: an answer without data or pagination", path)
		}
		read, next = number, answer.Pagination.NextCursor
		return *answer.Data, answer.Pagination.Total, nil
	}}.All(ctx)
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
var kinds = map[apierr.Code]provider.Kind{
	apierr.InvalidRequest: provider.KindRejected, apierr.MinimumRuntimeNotMet: provider.KindRejected, apierr.Conflict: provider.KindRejected,
	apierr.RequestTooLarge: provider.KindRejected, apierr.Unsupported: provider.KindUnsupported, apierr.OfferUnavailable: provider.KindNoCapacity,
	apierr.InsufficientBalance: provider.KindQuota, apierr.NotFound: provider.KindNotFound, apierr.RateLimitExceeded: provider.KindThrottled,
	apierr.MissingAPIKey: provider.KindCredentials, apierr.InvalidAPIKey: provider.KindCredentials, apierr.ExpiredAPIKey: provider.KindCredentials,
	apierr.RevokedAPIKey: provider.KindCredentials, apierr.InsufficientScope: provider.KindCredentials, apierr.NetworkNotAllowed: provider.KindCredentials,
	// Under our key there is another request, so something was made: the next look finds it.
	apierr.IdempotencyKeyReused: provider.KindUnavailable, apierr.RequestTimeout: provider.KindUnavailable,
}

// explain reads the code of a refusal.
func explain(status int, body []byte) *provider.Error {
	var said struct {
		Error struct{ Code apierr.Code }
	}
	if status/100 != 4 || json.Unmarshal(body, &said) != nil {
		return nil
	}
	if kind, known := kinds[said.Error.Code]; known {
		return &provider.Error{Kind: kind}
	}
	return nil
}
