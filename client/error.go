package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Code is a stable word for what went wrong. It is an error itself, so that errors.Is(err, client.ErrNotFound) tells
// whether an error of the API has that code.
type Code string

// Error returns the code.
func (c Code) Error() string { return string(c) }

// The codes of the API. A server that is newer may send others.
const (
	// ErrInvalidRequest is a malformed request; Error.Fields names every fault at once.
	ErrInvalidRequest Code = "INVALID_REQUEST"
	// ErrMinimumRuntimeNotMet is a terminate that comes too early; Error.RetryAfter says how long to wait, or use Deployments.TerminateEarliest.
	ErrMinimumRuntimeNotMet Code = "MINIMUM_RUNTIME_NOT_MET"
	// ErrUnsupportedByProvider is what the provider of the machine cannot do; its Capabilities say what it can.
	ErrUnsupportedByProvider Code = "UNSUPPORTED_BY_PROVIDER"
	// ErrMissingAPIKey is a request without a key: a proxy may have taken it away.
	ErrMissingAPIKey Code = "MISSING_API_KEY"
	// ErrInvalidAPIKey is a key that is not the server's.
	ErrInvalidAPIKey Code = "INVALID_API_KEY"
	// ErrExpiredAPIKey is a key whose time is over.
	ErrExpiredAPIKey Code = "EXPIRED_API_KEY"
	// ErrRevokedAPIKey is a key that was taken back.
	ErrRevokedAPIKey Code = "REVOKED_API_KEY"
	// ErrSignInRequired is a call for which a user must be signed in.
	ErrSignInRequired Code = "SIGN_IN_REQUIRED"
	// ErrSignInFailed is a sign-in that was not accepted.
	ErrSignInFailed Code = "SIGN_IN_FAILED"
	// ErrSecondFactorRequired is a sign-in that needs a code, too.
	ErrSecondFactorRequired Code = "SECOND_FACTOR_REQUIRED"
	// ErrInsufficientBalance is a deploy, volume or growth that the wallet does not cover.
	ErrInsufficientBalance Code = "INSUFFICIENT_BALANCE"
	// ErrKeyLimitReached is a deploy, or a later end, that the key's spending limits do not allow; Details has "limit", the limit's name.
	ErrKeyLimitReached Code = "KEY_LIMIT_REACHED"
	// ErrInsufficientScope is a key without the scope that the message names.
	ErrInsufficientScope Code = "INSUFFICIENT_SCOPE"
	// ErrNetworkNotAllowed is a key that may not be used from this address.
	ErrNetworkNotAllowed Code = "NETWORK_NOT_ALLOWED"
	// ErrLimitReached is one more of something that has a maximum; Details has "of" and "limit".
	ErrLimitReached Code = "LIMIT_REACHED"
	// ErrNotFound is what does not exist, or belongs to somebody else.
	ErrNotFound Code = "NOT_FOUND"
	// ErrMethodNotAllowed is a method that the path does not have.
	ErrMethodNotAllowed Code = "METHOD_NOT_ALLOWED"
	// ErrNotAcceptable is a representation that the server does not have.
	ErrNotAcceptable Code = "NOT_ACCEPTABLE"
	// ErrRequestTimeout is a body that did not arrive in time.
	ErrRequestTimeout Code = "REQUEST_TIMEOUT"
	// ErrConflict is what the present state does not allow.
	ErrConflict Code = "CONFLICT"
	// ErrOfferUnavailable is an offer that cannot be had now.
	ErrOfferUnavailable Code = "OFFER_UNAVAILABLE"
	// ErrIdempotencyKeyReused is a key that was used for another request within 24 hours.
	ErrIdempotencyKeyReused Code = "IDEMPOTENCY_KEY_REUSED"
	// ErrRequestTooLarge is a body of more than 1 MiB.
	ErrRequestTooLarge Code = "REQUEST_TOO_LARGE"
	// ErrUnsupportedMediaType is a body that is not JSON.
	ErrUnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE"
	// ErrRateLimitExceeded is one request too many in this minute, still after the retries.
	ErrRateLimitExceeded Code = "RATE_LIMIT_EXCEEDED"
	// ErrInternal is a fault of the server; tell its operator the RequestID.
	ErrInternal Code = "INTERNAL_ERROR"
	// ErrServiceUnavailable is a server that is down or too slow, still after the retries.
	ErrServiceUnavailable Code = "SERVICE_UNAVAILABLE"
)

// The codes of device authorization, as RFC 8628 and RFC 6749 spell them. DeviceAuthorization.Wait handles the first two.
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

// FieldError is one fault in a request.
type FieldError struct {
	// Field is where it is, as the API spells it: gpuCount, tags[2], query.limit.
	Field string `json:"field"`
	// Message says what to do about it.
	Message string `json:"message"`
}

// Error is a request that the server refused.
type Error struct {
	// Code is what to branch on, best by errors.Is; empty where something in between answered that is not Billet.
	Code Code
	// Message is for people.
	Message string
	// Details are further facts by name, nil for none. Numbers in it are json.Number.
	Details map[string]any
	// Fields are the faults that an INVALID_REQUEST names.
	Fields []FieldError
	// StatusCode is the HTTP status; 0 for a fault that was found before anything was sent.
	StatusCode int
	// RequestID names the request in the server's log; empty where there is none.
	RequestID string
	// RetryAfter is how long to wait before the same call may succeed; 0 where the server names no time.
	RetryAfter time.Duration
}

// Error returns the code, the message, further faulty fields and the request id.
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

// Is tells whether target is this error's code.
func (e *Error) Is(target error) bool {
	c, is := target.(Code)
	return is && c == e.Code && c != ""
}

// invalid is a fault that the client finds by itself.
func invalid(field, format string, args ...any) *Error {
	f := FieldError{field, fmt.Sprintf(format, args...)}
	return &Error{Code: ErrInvalidRequest, Message: f.Field + ": " + f.Message, Fields: []FieldError{f}}
}

// refused makes the error of an answer that is no success.
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
		e.Message = "the server answered " + resp.Status + ", and not as Billet does"
		if to := resp.Header.Get("Location"); to != "" && resp.StatusCode < http.StatusBadRequest {
			e.Message += "; it points to " + to + ", which is not followed: set the address to where the API is"
		}
		return e
	}
	e.Code, e.Message = envelope.Error.Code, envelope.Error.Message
	if len(envelope.Error.Details) > 0 {
		d := json.NewDecoder(bytes.NewReader(envelope.Error.Details))
		d.UseNumber()
		_ = d.Decode(&e.Details) // details of another form are left out: the code and the message stand
		var named struct {
			Fields []FieldError `json:"fields"`
		}
		if json.Unmarshal(envelope.Error.Details, &named) == nil {
			e.Fields = named.Fields
		}
	}
	return e
}
