package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Code is a stable error code. It is itself an error, so that errors.Is(err, client.ErrNotFound)
// reports whether an API error has that code.
type Code string

// Error returns the code.
func (c Code) Error() string { return string(c) }

// The error codes of the API. A newer server can send others.
const (
	// ErrInvalidRequest is an invalid request; Error.Fields has all problems at once.
	ErrInvalidRequest Code = "INVALID_REQUEST"
	// ErrMinimumRuntimeNotMet is a terminate before the minimum runtime is met. Wait for
	// Error.RetryAfter or use Deployments.TerminateEarliest.
	ErrMinimumRuntimeNotMet Code = "MINIMUM_RUNTIME_NOT_MET"
	// ErrUnsupportedByProvider is an action that the provider does not support; see Capabilities.
	ErrUnsupportedByProvider Code = "UNSUPPORTED_BY_PROVIDER"
	// ErrMissingAPIKey is a request without a key; a proxy may have removed it.
	ErrMissingAPIKey Code = "MISSING_API_KEY"
	// ErrInvalidAPIKey is a key that the server does not know.
	ErrInvalidAPIKey Code = "INVALID_API_KEY"
	// ErrExpiredAPIKey is an expired key.
	ErrExpiredAPIKey Code = "EXPIRED_API_KEY"
	// ErrRevokedAPIKey is a revoked key.
	ErrRevokedAPIKey Code = "REVOKED_API_KEY"
	// ErrSignInRequired is a call that needs a signed-in user.
	ErrSignInRequired Code = "SIGN_IN_REQUIRED"
	// ErrSignInFailed is a failed sign-in.
	ErrSignInFailed Code = "SIGN_IN_FAILED"
	// ErrSecondFactorRequired is a sign-in that needs a second factor.
	ErrSecondFactorRequired Code = "SECOND_FACTOR_REQUIRED"
	ErrSignUpClosed         Code = "SIGN_UP_CLOSED"
	// ErrInsufficientBalance is a deploy, volume or resize that exceeds the available balance.
	ErrInsufficientBalance Code = "INSUFFICIENT_BALANCE"
	// ErrKeyLimitReached is a deploy or extension that exceeds a spending limit of the key;
	// Details["limit"] is its name.
	ErrKeyLimitReached Code = "KEY_LIMIT_REACHED"
	// ErrQuotaExceeded is a deploy, volume or resize that exceeds a quota of the account;
	// Details["quota"] is its name.
	ErrQuotaExceeded Code = "QUOTA_EXCEEDED"
	// ErrBudgetExceeded is a deploy, volume or resize that would pass a budget;
	// Details["budgetId"] is its ID.
	ErrBudgetExceeded Code = "BUDGET_EXCEEDED"
	// ErrAccountSuspended is a call that would start something in a suspended account;
	// Details["reason"] says why it is.
	ErrAccountSuspended Code = "ACCOUNT_SUSPENDED"
	// ErrInsufficientScope is a key without the required scope, which the message names.
	ErrInsufficientScope Code = "INSUFFICIENT_SCOPE"
	// ErrNetworkNotAllowed is a request from outside the key's IP allowlist.
	ErrNetworkNotAllowed Code = "NETWORK_NOT_ALLOWED"
	// ErrLimitReached is one more of something that has a maximum; Details has "of" and "limit".
	ErrLimitReached Code = "LIMIT_REACHED"
	// ErrNotFound is a resource that does not exist or belongs to another account.
	ErrNotFound Code = "NOT_FOUND"
	// ErrMethodNotAllowed is a method that the path does not support.
	ErrMethodNotAllowed Code = "METHOD_NOT_ALLOWED"
	// ErrNotAcceptable is an Accept header that the server cannot satisfy.
	ErrNotAcceptable Code = "NOT_ACCEPTABLE"
	// ErrRequestTimeout is a request body that did not arrive in time.
	ErrRequestTimeout Code = "REQUEST_TIMEOUT"
	// ErrConflict is a conflict with the resource's current state.
	ErrConflict Code = "CONFLICT"
	// ErrOfferUnavailable is an offer that is not available.
	ErrOfferUnavailable Code = "OFFER_UNAVAILABLE"
	// ErrIdempotencyKeyReused is an idempotency key that was used for another request within 24
	// hours.
	ErrIdempotencyKeyReused Code = "IDEMPOTENCY_KEY_REUSED"
	// ErrEventExpired is a stream after an event that is so old that later ones were deleted. Read
	// the present state and stream from now on.
	ErrEventExpired Code = "EVENT_EXPIRED"
	// ErrPreconditionFailed is a change with WithIfMatch of what was changed since it was read.
	ErrPreconditionFailed Code = "PRECONDITION_FAILED"
	// ErrRequestTooLarge is a request body larger than 1 MiB.
	ErrRequestTooLarge Code = "REQUEST_TOO_LARGE"
	// ErrUnsupportedMediaType is a request body that is not JSON.
	ErrUnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE"
	// ErrRateLimitExceeded is an exceeded rate limit, after retries.
	ErrRateLimitExceeded Code = "RATE_LIMIT_EXCEEDED"
	// ErrInternal is an internal error of the server. Include the RequestID when contacting
	// support.
	ErrInternal Code = "INTERNAL_ERROR"
	// ErrServiceUnavailable is a server that is unavailable, after retries.
	ErrServiceUnavailable Code = "SERVICE_UNAVAILABLE"
)

// The codes of device authorization, as RFC 8628 and RFC 6749 spell them. DeviceAuthorization.Wait
// handles the first two.
const (
	// ErrAuthorizationPending is a token request before the user has decided.
	ErrAuthorizationPending Code = "authorization_pending"
	// ErrSlowDown is a request too soon after the previous one.
	ErrSlowDown Code = "slow_down"
	// ErrAccessDenied is a request that the user denied.
	ErrAccessDenied Code = "access_denied"
	// ErrExpiredToken is a device code that expired.
	ErrExpiredToken Code = "expired_token"
	// ErrInvalidGrant is a device code that is unknown, or whose key was used or revoked.
	ErrInvalidGrant Code = "invalid_grant"
	// ErrInvalidScope is a scope that does not exist.
	ErrInvalidScope Code = "invalid_scope"
	// ErrUnsupportedGrantType is a grant type other than device_code.
	ErrUnsupportedGrantType Code = "unsupported_grant_type"
	// ErrInvalidOAuthRequest is a missing or malformed parameter.
	ErrInvalidOAuthRequest Code = "invalid_request"
	// ErrTemporarilyUnavailable is a server that cannot answer now, still after the retries.
	ErrTemporarilyUnavailable Code = "temporarily_unavailable"
	// ErrServerError is a failure of the server.
	ErrServerError Code = "server_error"
)

// FieldError is one problem of a request.
type FieldError struct {
	// Field is the name of the field in the API, such as gpuCount, tags[2] or query.limit.
	Field string `json:"field"`
	// Message describes the problem and what to do.
	Message string `json:"message"`
}

// Error is an error response of the server.
type Error struct {
	// Code is the error code, for errors.Is. It is empty if the response is not from Billet, such
	// as that of a proxy.
	Code Code
	// Message is the text for users.
	Message string
	// Details are further data by name; nil if there are none. Numbers are json.Number.
	Details map[string]any
	// Fields are the problems of an INVALID_REQUEST.
	Fields []FieldError
	// StatusCode is the HTTP status; 0 if the request was not sent.
	StatusCode int
	// RequestID identifies the request in the server's log; "" if there is none.
	RequestID string
	// RetryAfter is how long to wait before repeating the call; 0 if the server reports no time.
	RetryAfter time.Duration
}

// Error returns the code, the message, the further fields and the request id.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("client: ")
	if e.Code != "" {
		b.WriteString(string(e.Code) + ": ")
	}
	b.WriteString(e.Message)
	if len(e.Fields) > 1 { // the message has the first
		for _, f := range e.Fields[1:] {
			b.WriteString(" " + f.Field + ": " + f.Message)
		}
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// Is reports whether target is this error's code.
func (e *Error) Is(target error) bool {
	c, is := target.(Code)
	return is && c == e.Code && c != ""
}

// invalid returns an error that the client itself detects.
func invalid(field, format string, args ...any) *Error {
	f := FieldError{field, fmt.Sprintf(format, args...)}
	return &Error{Code: ErrInvalidRequest, Message: f.Field + ": " + f.Message, Fields: []FieldError{f}}
}

// refused returns the error of an error response.
func refused(resp *http.Response, body []byte, after time.Duration) *Error {
	e := &Error{StatusCode: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"), RetryAfter: after}
	var envelope struct {
		Error struct {
			Code    Code            `json:"code"`
			Message string          `json:"message"`
			Details json.RawMessage `json:"details"`
		} `json:"error"`
	}
	var oauth struct {
		Error       Code   `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &oauth) == nil && oauth.Error != "" {
		e.Code, e.Message = oauth.Error, oauth.Description
		return e
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.Error.Code == "" {
		e.Message = "the server responded with " + resp.Status + ", which is not a response of Billet"
		if to := resp.Header.Get("Location"); to != "" && resp.StatusCode < http.StatusBadRequest {
			e.Message += ". It redirects to " + to + ", which is not followed; set the address to that of the API"
		}
		return e
	}
	e.Code, e.Message = envelope.Error.Code, envelope.Error.Message
	if len(envelope.Error.Details) > 0 {
		d := json.NewDecoder(bytes.NewReader(envelope.Error.Details))
		d.UseNumber()
		_ = d.Decode(&e.Details) // ignore details of another form
		var named struct {
			Fields []FieldError `json:"fields"`
		}
		if json.Unmarshal(envelope.Error.Details, &named) == nil {
			e.Fields = named.Fields
		}
	}
	return e
}
