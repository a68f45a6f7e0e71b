package rest

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/id"
)

// Codes is the table from code to status, in the order of the documentation. Retryable codes may
// succeed when the same request is sent again unchanged.
var Codes = []struct {
	Code      apierr.Code
	Status    int
	Retryable bool
	Meaning   string
}{
	{
		apierr.InvalidRequest,
		http.StatusBadRequest,
		false,
		"Validation failed; `details.fields` lists every error at once.",
	},
	{
		apierr.MinimumRuntimeNotMet,
		http.StatusBadRequest,
		true,
		"The deployment has not reached its minimum runtime; see `details.remainingSeconds` and " +
			"`details.terminableAt`.",
	},
	{apierr.Unsupported, http.StatusBadRequest, false, "The provider of this machine does not support the operation."},
	{apierr.MissingAPIKey, http.StatusUnauthorized, false, "The request has no API key."},
	{apierr.InvalidAPIKey, http.StatusUnauthorized, false, "Invalid API key."},
	{apierr.ExpiredAPIKey, http.StatusUnauthorized, false, "The API key has expired."},
	{apierr.RevokedAPIKey, http.StatusUnauthorized, false, "The API key was revoked."},
	{apierr.SignInRequired, http.StatusUnauthorized, false, "This operation requires a signed-in user."},
	{
		apierr.SignInFailed,
		http.StatusUnauthorized,
		false,
		"Email address and password do not match, or the passkey or identity provider was not accepted.",
	},
	{
		apierr.SecondFactorRequired,
		http.StatusUnauthorized,
		false,
		"The password is correct, but the required code is missing or wrong; see `details.methods`.",
	},
	{apierr.InsufficientBalance, http.StatusPaymentRequired, false, "The available balance is too low."},
	{
		apierr.KeyLimitReached,
		http.StatusForbidden,
		false,
		"The request exceeds a spending limit of the API key; `details.limit` names the limit.",
	},
	{
		apierr.QuotaExceeded,
		http.StatusForbidden,
		false,
		"The request exceeds a quota of the account; `details.quota` names it.",
	},
	{
		apierr.BudgetExceeded,
		http.StatusForbidden,
		false,
		"The first hour or minimum runtime of the request would pass a budget; `details.budgetId` names it.",
	},
	{
		apierr.AccountSuspended,
		http.StatusForbidden,
		false,
		"The operator has suspended the account; `details.reason` says why. Nothing new can be started.",
	},
	{
		apierr.InsufficientScope,
		http.StatusForbidden,
		false,
		"The API key lacks the required scope, or your role in the account does not allow it.",
	},
	{apierr.SignUpClosed, http.StatusForbidden, false, "The operator's sign-up policy does not admit the user."},
	{
		apierr.NetworkNotAllowed,
		http.StatusForbidden,
		false,
		"The API key is not allowed from this address, or the request came from another website.",
	},
	{apierr.NotFound, http.StatusNotFound, false, "Not found, or you don't have access."},
	{
		apierr.MethodNotAllowed,
		http.StatusMethodNotAllowed,
		false,
		"The path exists, but not with this method; see `Allow`.",
	},
	{apierr.NotAcceptable, http.StatusNotAcceptable, false, "The requested representation is not available."},
	{apierr.RequestTimeout, http.StatusRequestTimeout, true, "The request body did not arrive in time."},
	{
		apierr.Conflict,
		http.StatusConflict,
		false,
		"The request conflicts with the resource's current state, for example a name that is taken, termination " +
			"protection, or a price above `maxHourlyPrice`.",
	},
	{
		apierr.LimitReached,
		http.StatusConflict,
		false,
		"The maximum number of these exists already; see `details.of` and `details.limit`.",
	},
	{apierr.OfferUnavailable, http.StatusConflict, false, "The offer is sold out or was withdrawn."},
	{apierr.IdempotencyKeyReused, http.StatusConflict, false, "The Idempotency-Key was used for a different request."},
	{apierr.EventExpired, http.StatusGone, false, "Events after this one were deleted, because they are too old."},
	{
		apierr.PreconditionFailed,
		http.StatusPreconditionFailed,
		false,
		"The resource was changed since the ETag in `If-Match` was returned.",
	},
	{
		apierr.RequestTooLarge,
		http.StatusRequestEntityTooLarge,
		false,
		"The body exceeds 1 MiB, or the headers exceed 64 KiB.",
	},
	{apierr.UnsupportedMediaType, http.StatusUnsupportedMediaType, false, "The body is not `application/json`."},
	{
		apierr.RateLimitExceeded,
		http.StatusTooManyRequests,
		true,
		"Too many requests in this minute; see `Retry-After`.",
	},
	{
		apierr.Internal,
		http.StatusInternalServerError,
		true,
		"Internal error. Include `requestId` when you contact support.",
	},
	{
		apierr.ServiceUnavailable,
		http.StatusServiceUnavailable,
		true,
		"The service is temporarily unavailable; see `Retry-After`.",
	},
}

// StatusOf is the HTTP status of a code; 0 for an unknown one.
func StatusOf(code apierr.Code) int { return infoOf[code].status }

type codeInfo struct {
	status    int
	retryable bool
}

var infoOf = func() map[apierr.Code]codeInfo {
	m := map[apierr.Code]codeInfo{}
	for _, c := range Codes {
		m[c.Code] = codeInfo{c.Status, c.Retryable}
	}
	return m
}()

// noRetry is the RetryAfter of what must not be sent again blindly.
const noRetry time.Duration = -1

// defaultRetryAfter is the Retry-After of a 503 that names no time itself.
const defaultRetryAfter = 5 * time.Second

// failure is the envelope of every error.
type failure struct {
	Success bool        `json:"success" enum:"false"`
	Error   failureBody `json:"error"`
}

type failureBody struct {
	Code      apierr.Code    `json:"code" doc:"Stable error code; see the table of codes."`
	Message   string         `json:"message" doc:"What is wrong and what to do, as text."`
	RequestID id.ID          `json:"requestId" doc:"Id of the request that failed. Include it when you contact support."`
	Retryable bool           `json:"retryable" doc:"Whether the same request may succeed when it is sent again unchanged, after Retry-After if there is one."`
	Details   map[string]any `json:"details,omitempty" doc:"Facts by name. INVALID_REQUEST: fields, a list of {field, message}."`
}

// failed makes the response of an error of the call.
func (c *Call) failed(err error) Answer {
	if c.Route != nil && c.Route.OAuth {
		return oauthFailed(err, c.ID)
	}
	return failed(err, c.ID)
}

// failed makes the response of an error.
func failed(err error, request id.ID) Answer {
	f, isKnown := errors.AsType[*apierr.Error](err)
	if !isKnown || infoOf[f.Code].status == 0 || f.Code == apierr.Internal {
		f = &apierr.Error{
			Code: apierr.Internal,
			Message: "Internal error. Try again. If it persists, contact support with the request id " +
				string(request) + ".",
			Details: map[string]any{"requestId": request},
		}
	}
	info := infoOf[f.Code]
	a := Answer{Status: info.status, Header: map[string]string{}}
	wait := f.RetryAfter
	if a.Status == http.StatusServiceUnavailable && wait == 0 {
		wait = defaultRetryAfter
	}
	if wait > 0 {
		a.Header["Retry-After"] = seconds(wait)
	}
	if a.Status == http.StatusUnauthorized {
		a.Header["WWW-Authenticate"] = `Bearer realm="billet"`
	}
	if f.Code == apierr.MethodNotAllowed {
		if allow, ok := f.Details["allow"].(string); ok {
			a.Header["Allow"] = allow
		}
	}
	a.Body = Encode(
		failure{Error: failureBody{f.Code, f.Message, request, info.retryable && f.RetryAfter != noRetry, f.Details}},
	)
	return a
}

// seconds rounds up, so that a client that waits so long is not refused again.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(math.Max(1, math.Ceil(d.Seconds()))), 10)
}

// merged is INVALID_REQUEST with the errors found in the request itself and, for fields that are
// not named yet, those that a service found in what could be understood of it. A field of a group
// that was sent, if badly, is not missing.
func merged(found []apierr.FieldError, groups [][]string, err error) error {
	// Nothing follows from a body that could not be read as a whole.
	unread := slices.ContainsFunc(found, func(e apierr.FieldError) bool { return e.Field == "body" })
	f, isKnown := errors.AsType[*apierr.Error](err)
	if !unread && isKnown { // a NOT_FOUND of ids in the body names its fields too
		named := map[string]bool{}
		for _, e := range found {
			field := root(e.Field)
			named[field] = true
			for _, group := range groups {
				if slices.Contains(group, field) {
					named[group[0]] = true
				}
			}
		}
		for _, e := range f.Fields() {
			if !named[root(e.Field)] {
				found = append(found, e)
			}
		}
	}
	return apierr.Invalid(found).OrNil()
}

// root is the top-level field that a path such as "tags[2]" lies in.
func root(field string) string {
	for i := range len(field) {
		if field[i] == '[' ||
			(field[i] == '.' && field[:i] != "query" && field[:i] != "path" && field[:i] != "header") {
			return field[:i]
		}
	}
	return field
}

// NotFound is the error for what does not exist or belongs to another account.
func NotFound(what string) error {
	return apierr.New(apierr.NotFound, "There is no such %s.", what)
}

// Unavailable is SERVICE_UNAVAILABLE for a part that does not answer.
func Unavailable(message string, cause error) *apierr.Error {
	return &apierr.Error{Code: apierr.ServiceUnavailable, Message: message, RetryAfter: 15 * time.Second, Cause: cause}
}

// logged are the attributes of an error for the access log.
func logged(err error) []slog.Attr {
	if err == nil {
		return nil
	}
	f, isKnown := errors.AsType[*apierr.Error](err)
	if !isKnown {
		return []slog.Attr{slog.String("code", string(apierr.Internal)), slog.String("error", err.Error())}
	}
	attrs := []slog.Attr{slog.String("code", string(f.Code))}
	if f.Cause != nil {
		attrs = append(attrs, slog.String("cause", f.Cause.Error()))
	}
	return attrs
}
