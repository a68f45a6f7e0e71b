package apierr

import (
	"errors"
	"fmt"
	"time"
)

// Code is a stable, documented word for what went wrong. Clients branch on it.
type Code string

// The codes of the API. Those of the specification's table come first.
const (
	InvalidRequest       Code = "INVALID_REQUEST"
	MissingAPIKey        Code = "MISSING_API_KEY"
	InvalidAPIKey        Code = "INVALID_API_KEY"
	ExpiredAPIKey        Code = "EXPIRED_API_KEY"
	RevokedAPIKey        Code = "REVOKED_API_KEY"
	InsufficientBalance  Code = "INSUFFICIENT_BALANCE"
	InsufficientScope    Code = "INSUFFICIENT_SCOPE"
	KeyLimitReached      Code = "KEY_LIMIT_REACHED"
	QuotaExceeded        Code = "QUOTA_EXCEEDED"
	BudgetExceeded       Code = "BUDGET_EXCEEDED"
	AccountSuspended     Code = "ACCOUNT_SUSPENDED"
	NetworkNotAllowed    Code = "NETWORK_NOT_ALLOWED"
	SignInRequired       Code = "SIGN_IN_REQUIRED"
	SignInFailed         Code = "SIGN_IN_FAILED"
	SecondFactorRequired Code = "SECOND_FACTOR_REQUIRED"
	SignUpClosed         Code = "SIGN_UP_CLOSED"
	LimitReached         Code = "LIMIT_REACHED"
	NotFound             Code = "NOT_FOUND"
	MethodNotAllowed     Code = "METHOD_NOT_ALLOWED"
	Conflict             Code = "CONFLICT"
	OfferUnavailable     Code = "OFFER_UNAVAILABLE"
	IdempotencyKeyReused Code = "IDEMPOTENCY_KEY_REUSED"
	EventExpired         Code = "EVENT_EXPIRED"
	PreconditionFailed   Code = "PRECONDITION_FAILED"
	MinimumRuntimeNotMet Code = "MINIMUM_RUNTIME_NOT_MET"
	Unsupported          Code = "UNSUPPORTED_BY_PROVIDER"
	RequestTooLarge      Code = "REQUEST_TOO_LARGE"
	UnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE"
	NotAcceptable        Code = "NOT_ACCEPTABLE"
	RateLimitExceeded    Code = "RATE_LIMIT_EXCEEDED"
	RequestTimeout       Code = "REQUEST_TIMEOUT"
	Internal             Code = "INTERNAL_ERROR"
	ServiceUnavailable   Code = "SERVICE_UNAVAILABLE"
)

// FieldError is one fault in a request: where it is, as the client wrote it
// ("gpuCount", "tags[2]", "query.limit"), and what to do about it.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is an error that a user may read.
type Error struct {
	Code    Code
	Message string
	// Details are further facts by name, shown as they are; nil for none.
	Details map[string]any
	// RetryAfter is how long to wait before the same call may succeed; 0 where waiting does not
	// help.
	RetryAfter time.Duration
	// Cause is what happened inside. It is logged and never shown.
	Cause error
}

// Error returns the code and message, and the cause for the log.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New returns an error with that code and a message made as by fmt.Sprintf.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Full returns LIMIT_REACHED: whose has most of what already, which is the name in details, and the
// message says what to do.
func Full(what string, most int, format string, args ...any) *Error {
	return &Error{Code: LimitReached, Message: fmt.Sprintf(format, args...),
		Details: map[string]any{"limit": most, "of": what}}
}

// CodeOf returns the code of the first fault.Error in err's chain, or Internal
// where there is none. It must not be called with nil.
func CodeOf(err error) Code {
	if e, is := errors.AsType[*Error](err); is {
		return e.Code
	}
	return Internal
}

// Invalid returns an INVALID_REQUEST that names every given field, or nil
// where there are none, so that a check can end in `return fault.Invalid(faults).OrNil()`.
func Invalid(fields []FieldError) *Error {
	if len(fields) == 0 {
		return nil
	}
	message := fields[0].Field + ": " + fields[0].Message
	if n := len(fields); n > 1 {
		message = fmt.Sprintf("The request has %d faults; the first: %s", n, message)
	}
	return &Error{Code: InvalidRequest, Message: message, Details: map[string]any{"fields": fields}}
}

// OrNil returns e as an error, and a true nil for a nil *Error.
func (e *Error) OrNil() error {
	if e == nil {
		return nil
	}
	return e
}

// Fields returns the faulty fields that an INVALID_REQUEST names.
func (e *Error) Fields() []FieldError {
	fields, _ := e.Details["fields"].([]FieldError)
	return fields
}
