package mcp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/google/jsonschema-go/jsonschema"
)

// refusal is an error as a client reads it: JSON, of one line.
type refusal struct {
	Code              string              `json:"code"`
	Message           string              `json:"message"`
	WhatToDo          string              `json:"whatToDo,omitempty"`
	Fields            []client.FieldError `json:"fields,omitempty"`
	Details           map[string]any      `json:"details,omitempty"`
	RequestID         string              `json:"requestId,omitempty"`
	RetryAfterSeconds int                 `json:"retryAfterSeconds,omitempty"`
}

// Error is the refusal as JSON.
func (r *refusal) Error() string {
	text, err := cleaned(*r)
	if err != nil {
		return r.Code
	}
	return string(text)
}

// invalid is a refusal that names every field that is wrong.
func invalid(fields []client.FieldError) *refusal {
	r := &refusal{Code: string(client.ErrInvalidRequest), Fields: fields, WhatToDo: cures[client.ErrInvalidRequest]}
	r.Message = fields[0].Field + ": " + fields[0].Message
	if n := len(fields); n > 1 {
		r.Message = fmt.Sprintf("%d fields are wrong. The first: %s", n, r.Message)
	}
	return r
}

// inTermsOf names the fields that the API refused as the tool's inputs, which are all that its
// caller can correct.
func (r *refusal) inTermsOf(a about, schema *jsonschema.Schema) *refusal {
	if r.Code != string(client.ErrInvalidRequest) || len(r.Fields) == 0 {
		return r
	}
	renamed := false
	for i, f := range r.Fields {
		name := strings.TrimPrefix(strings.TrimPrefix(f.Field, "query."), "path.")
		root, rest := name, ""
		if at := strings.IndexAny(name, ".["); at >= 0 {
			root, rest = name[:at], name[at:]
		}
		if input, known := a.fields[root]; known && schema.Properties[root] == nil {
			root, rest = input, ""
		}
		if root+rest != f.Field {
			r.Fields[i].Field, renamed = root+rest, true
		}
	}
	if renamed {
		r.Message = invalid(r.Fields).Message
	}
	return r
}

// cures are what to do about a code of the API, where its message cannot know what tools there are.
var cures = map[client.Code]string{
	client.ErrInvalidRequest:        "Correct the named fields and call the tool again.",
	client.ErrMinimumRuntimeNotMet:  "Call terminate with earliest: true, which plans the end for as soon as it is possible.",
	client.ErrInsufficientBalance:   "get_wallet shows what there is. Tell the user: only they can pay in. Or choose something cheaper. Then make a new quote.",
	client.ErrKeyLimitReached:       "whoami shows the key's limits and what of them is used. Choose something cheaper or shorter, or terminate something. Only the user can raise the limit, in the dashboard under Settings → API keys.",
	client.ErrInsufficientScope:     "This key may not do that. Ask the user for a key with that scope.",
	client.ErrNotFound:              "Look the id up again with the list tool. Do not guess ids.",
	client.ErrOfferUnavailable:      "list_offers shows what there is now; then make a new quote.",
	client.ErrConflict:              "Look at the thing again with its get tool; for a deploy, make a new quote.",
	client.ErrUnsupportedByProvider: "The provider of this machine cannot do that; its capabilities in get_deployment say what it can.",
	client.ErrRateLimitExceeded:     "Wait for retryAfterSeconds, then call again.",
	client.ErrInvalidAPIKey:         "Ask the user to sign in again with 'billet login', or to give another BILLET_API_KEY.",
	client.ErrExpiredAPIKey:         "Ask the user to sign in again with 'billet login', or to give another BILLET_API_KEY.",
	client.ErrRevokedAPIKey:         "Ask the user to sign in again with 'billet login', or to give another BILLET_API_KEY.",
	client.ErrInternal:              "Tell the user the requestId. Calling the same tool again with the same input is safe.",
	client.ErrServiceUnavailable:    "Try again in a little while. Calling the same tool again with the same input is safe.",
}

// told makes of an error what a client is told.
func told(err error) *refusal {
	var own *refusal
	if errors.As(err, &own) {
		return own
	}
	var e *client.Error
	if !errors.As(err, &e) {
		return &refusal{Code: "UNREACHABLE", Message: strings.TrimPrefix(err.Error(), "client: "), WhatToDo: "The server did not answer. Calling the same tool again with the same input is safe."}
	}
	r := &refusal{Code: string(e.Code), Message: e.Message, WhatToDo: cures[e.Code], Fields: e.Fields, RequestID: e.RequestID, RetryAfterSeconds: int(e.RetryAfter.Seconds())}
	if r.Code == "" {
		r.Code = "NOT_BILLET"
	}
	for name, v := range e.Details {
		if name != "fields" { // which are there already
			if r.Details == nil {
				r.Details = map[string]any{}
			}
			r.Details[name] = v
		}
	}
	return r
}
