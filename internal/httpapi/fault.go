package httpapi

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

// codes is the one table from code to status, in the order of the documentation.
var codes = []struct {
	code    apierr.Code
	status  int
	meaning string
}{
	{apierr.InvalidRequest, http.StatusBadRequest, "The request is malformed; `details.fields` names every fault at once."},
	{apierr.MinimumRuntimeNotMet, http.StatusBadRequest, "The deployment has not run for its minimum time; `details.remainingSeconds` and `details.terminableAt` say how long to wait."},
	{apierr.Unsupported, http.StatusBadRequest, "The provider of this machine cannot do that."},
	{apierr.MissingAPIKey, http.StatusUnauthorized, "No API key was sent."},
	{apierr.InvalidAPIKey, http.StatusUnauthorized, "The API key is not one of ours."},
	{apierr.ExpiredAPIKey, http.StatusUnauthorized, "The API key has expired."},
	{apierr.RevokedAPIKey, http.StatusUnauthorized, "The API key was revoked."},
	{apierr.SignInRequired, http.StatusUnauthorized, "This call needs a signed-in user."},
	{apierr.SignInFailed, http.StatusUnauthorized, "E-mail address and password do not match, or the passkey or identity provider was not accepted."},
	{apierr.SecondFactorRequired, http.StatusUnauthorized, "The password is right; a code is needed, too, and was missing or wrong. `details.methods` says what will do."},
	{apierr.InsufficientBalance, http.StatusPaymentRequired, "The wallet does not cover it."},
	{apierr.KeyLimitReached, http.StatusForbidden, "The API key may not spend that much, or not on this; details.limit names the limit."},
	{apierr.InsufficientScope, http.StatusForbidden, "The API key lacks the scope that the message names, or your role in the account does not allow it."},
	{apierr.NetworkNotAllowed, http.StatusForbidden, "The API key may not be used from this address, or the call came from another web site."},
	{apierr.NotFound, http.StatusNotFound, "It does not exist, or it belongs to somebody else: the two look alike."},
	{apierr.MethodNotAllowed, http.StatusMethodNotAllowed, "The path exists, the method does not; see `Allow`."},
	{apierr.NotAcceptable, http.StatusNotAcceptable, "No such representation."},
	{apierr.RequestTimeout, http.StatusRequestTimeout, "The body did not arrive in time."},
	{apierr.Conflict, http.StatusConflict, "The present state does not allow it: a name that is taken, termination protection, a price above `maxHourlyPrice`."},
	{apierr.LimitReached, http.StatusConflict, "There are as many of these as there may be; `details.of` says of what, `details.limit` how many."},
	{apierr.OfferUnavailable, http.StatusConflict, "The offer cannot be had now."},
	{apierr.IdempotencyKeyReused, http.StatusConflict, "The Idempotency-Key was used for another request."},
	{apierr.RequestTooLarge, http.StatusRequestEntityTooLarge, "The body is larger than 1 MiB, or the headers are larger than 64 KiB."},
	{apierr.UnsupportedMediaType, http.StatusUnsupportedMediaType, "The body is not `application/json`."},
	{apierr.RateLimitExceeded, http.StatusTooManyRequests, "Too many requests in this minute; see `Retry-After`."},
	{apierr.Internal, http.StatusInternalServerError, "A fault of ours; `details.requestId` names it in our log."},
	{apierr.ServiceUnavailable, http.StatusServiceUnavailable, "The marketplace is down or too slow; see `Retry-After`."},
}

var statusOf = func() map[apierr.Code]int {
	m := map[apierr.Code]int{}
	for _, c := range codes {
		m[c.code] = c.status
	}
	return m
}()

// noRetry is the RetryAfter of what must not be tried again unseen.
const noRetry time.Duration = -1

// retryAfter is what a 503 without a time of its own tells the client to wait.
const retryAfter = 5 * time.Second

// failure is the envelope of every error.
type failure struct {
	Success bool        `json:"success" enum:"false"`
	Error   failureBody `json:"error"`
}

type failureBody struct {
	Code    apierr.Code    `json:"code" doc:"A stable word; see the table of codes."`
	Message string         `json:"message" doc:"What is wrong and what to do, for people."`
	Details map[string]any `json:"details,omitempty" doc:"Facts by name. INVALID_REQUEST: fields, a list of {field, message}."`
}

// failed makes the answer to an error.
func failed(err error, request id.ID) answer {
	var f *apierr.Error
	if !errors.As(err, &f) || statusOf[f.Code] == 0 || f.Code == apierr.Internal {
		f = &apierr.Error{
			Code:    apierr.Internal,
			Message: "Something went wrong on our side. Try again; if it goes on, tell support the request id " + string(request) + ".",
			Details: map[string]any{"requestId": request},
		}
	}
	a := answer{Status: statusOf[f.Code], Header: map[string]string{}}
	wait := f.RetryAfter
	if a.Status == http.StatusServiceUnavailable && wait == 0 {
		wait = retryAfter
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
	a.Body = encode(failure{Error: failureBody{f.Code, f.Message, f.Details}})
	return a
}

// seconds rounds up: a client that waits so long is not refused again.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(math.Max(1, math.Ceil(d.Seconds()))), 10)
}

// merged is INVALID_REQUEST with the faults found in the request itself and, for fields that are not
// named yet, those that a room found in what could be understood of it.
func merged(found []apierr.FieldError, err error) error {
	var f *apierr.Error
	// Of a body that could not be read as a whole nothing follows.
	unread := slices.ContainsFunc(found, func(at apierr.FieldError) bool { return at.Field == "body" })
	if !unread && errors.As(err, &f) { // a NOT_FOUND of ids in the body names its fields too
		named := map[string]bool{}
		for _, at := range found {
			named[root(at.Field)] = true
			if slices.Contains(keyFields, root(at.Field)) {
				named[keyFields[0]] = true // a key that was sent, if badly, is not missing
			}
		}
		for _, at := range f.Fields() {
			if !named[root(at.Field)] {
				found = append(found, at)
			}
		}
	}
	return apierr.Invalid(found).OrNil()
}

// root is the top-level field that a path such as "tags[2]" lies in.
func root(field string) string {
	for i := range len(field) {
		if field[i] == '[' || (field[i] == '.' && field[:i] != "query" && field[:i] != "path" && field[:i] != "header") {
			return field[:i]
		}
	}
	return field
}

// logged are the attributes of an error for the access log.
func logged(err error) []slog.Attr {
	if err == nil {
		return nil
	}
	var f *apierr.Error
	if errors.As(err, &f) {
		attrs := []slog.Attr{slog.String("code", string(f.Code))}
		if f.Cause != nil {
			attrs = append(attrs, slog.String("cause", f.Cause.Error()))
		}
		return attrs
	}
	return []slog.Attr{slog.String("code", string(apierr.Internal)), slog.String("error", err.Error())}
}
