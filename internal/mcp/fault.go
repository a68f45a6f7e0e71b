package mcp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/google/jsonschema-go/jsonschema"
)

// toolError is an error for an MCP client: one line of JSON.
type toolError struct {
	Code              string              `json:"code"`
	Message           string              `json:"message"`
	Hint              string              `json:"hint,omitempty"`
	Fields            []client.FieldError `json:"fields,omitempty"`
	Details           map[string]any      `json:"details,omitempty"`
	RequestID         string              `json:"requestId,omitempty"`
	RetryAfterSeconds int                 `json:"retryAfterSeconds,omitempty"`
}

// Error returns the error as JSON.
func (r *toolError) Error() string {
	text, err := encodeClean(*r)
	if err != nil {
		return r.Code
	}
	return string(text)
}

// invalid returns an error that names every invalid field.
func invalid(fields []client.FieldError) *toolError {
	r := &toolError{Code: string(client.ErrInvalidRequest), Fields: fields, Hint: hints[client.ErrInvalidRequest]}
	r.Message = fields[0].Field + ": " + fields[0].Message
	if n := len(fields); n > 1 {
		r.Message = fmt.Sprintf("%d fields are invalid. The first: %s", n, r.Message)
	}
	return r
}

// inInputTerms renames the API's invalid fields to the tool's inputs, which the caller can correct.
func (r *toolError) inInputTerms(spec toolSpec, schema *jsonschema.Schema) *toolError {
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
		if input, known := spec.apiFields[root]; known && schema.Properties[root] == nil {
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

// hints say what to do about an error of the API, whose message does not know the tools.
var hints = map[client.Code]string{
	client.ErrInvalidRequest: "Correct the named fields and call the tool again.",
	client.ErrMinimumRuntimeNotMet: "Call terminate with earliest: true to terminate as soon as the minimum " +
		"runtime is met.",
	client.ErrInsufficientBalance: "Call get_wallet to see the balance. Ask the user to add funds, or choose a " +
		"cheaper offer. Then create a new quote.",
	client.ErrKeyLimitReached: "Call whoami to see the limits and their use. Choose something cheaper or shorter, " +
		"or terminate a machine. Only the user can raise a limit, in the dashboard under Settings → API keys.",
	client.ErrQuotaExceeded: "Terminate a machine or delete a volume. Only the operator can raise a quota: ask the " +
		"user to ask for it.",
	client.ErrBudgetExceeded: "Call list_budgets to see what is spent. Choose something cheaper, or terminate a " +
		"machine. Only the user can change a budget, with 'billet budgets update'.",
	client.ErrAccountSuspended:      "Nothing new can be started. Tell the user the reason.",
	client.ErrInsufficientScope:     "Ask the user for a key with this scope.",
	client.ErrNotFound:              "Find the ID with the list tool. Do not guess IDs.",
	client.ErrOfferUnavailable:      "Call list_offers to find an available offer, then create a new quote.",
	client.ErrConflict:              "Read the resource again with its get tool. For a deploy, create a new quote.",
	client.ErrUnsupportedByProvider: "The provider does not support this. See the capabilities in get_deployment.",
	client.ErrRateLimitExceeded:     "Wait for retryAfterSeconds, then call again.",
	client.ErrInvalidAPIKey:         newKeyHint,
	client.ErrExpiredAPIKey:         newKeyHint,
	client.ErrRevokedAPIKey:         newKeyHint,
	client.ErrInternal: "Report the requestId to the user. It is safe to repeat the call with the same " +
		"input.",
	client.ErrServiceUnavailable: "Try again shortly. It is safe to repeat the call with the same input.",
}

const newKeyHint = "Ask the user to run 'billet login' again, or to set another BILLET_API_KEY."

// toToolError converts an error for the client.
func toToolError(err error) *toolError {
	if own, is := errors.AsType[*toolError](err); is {
		return own
	}
	e, is := errors.AsType[*client.Error](err)
	if !is {
		return &toolError{
			Code: "UNREACHABLE", Message: strings.TrimPrefix(err.Error(), "client: "),
			Hint: "The server did not respond. It is safe to repeat the call with the same input.",
		}
	}
	r := &toolError{
		Code: string(e.Code), Message: e.Message, Hint: hints[e.Code], Fields: e.Fields,
		RequestID: e.RequestID, RetryAfterSeconds: int(e.RetryAfter.Seconds()),
	}
	if r.Code == "" {
		r.Code = "NOT_BILLET"
	}
	for name, v := range e.Details {
		if name != "fields" { // r.Fields has them
			if r.Details == nil {
				r.Details = map[string]any{}
			}
			r.Details[name] = v
		}
	}
	return r
}
