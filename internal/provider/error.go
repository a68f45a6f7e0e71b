package provider

import (
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
)

// Kind is what an error means for the caller.
type Kind string

// The kinds of errors.
const (
	// KindNoCapacity: the offer is sold out. Nothing was created.
	KindNoCapacity Kind = "no_capacity"
	// KindNotFound: there is no such machine, volume or offer.
	KindNotFound Kind = "not_found"
	// KindRejected: the provider understood the request and refused it; the same request would be
	// refused again. Nothing was created.
	KindRejected Kind = "rejected"
	// KindUnsupported: this provider or offer cannot do that at all.
	KindUnsupported Kind = "unsupported"
	// KindThrottled: more requests than the provider allows. Nothing was created; retry after
	// RetryAfter.
	KindThrottled Kind = "throttled"
	// KindCredentials: the provider does not accept our key, or not for this. Nothing was created;
	// the operator must act.
	KindCredentials Kind = "credentials"
	// KindQuota: our account at the provider is at a limit, or out of money. Nothing was created;
	// the operator must act.
	KindQuota Kind = "quota"
	// KindUnavailable: no response, or a malformed one. The request may have taken effect: read,
	// then retry.
	KindUnavailable Kind = "unavailable"
)

// Error is the error of a request to a provider.
type Error struct {
	Kind Kind
	// Message is for the tenant; "" where there is nothing useful to tell.
	Message string
	// RetryAfter is how long the provider asks to wait, or 0.
	RetryAfter time.Duration
	// Cause is for the log.
	Cause error
}

// Error returns kind, message and cause, for the log.
func (e *Error) Error() string {
	s := "provider: " + string(e.Kind)
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Cause != nil {
		s += fmt.Sprintf(" (%v)", e.Cause)
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// KindOf returns the kind of the first *Error in err's chain. Where there is none it returns
// KindUnavailable, since an error of unknown meaning leaves the outcome unknown. err must not be
// nil.
func KindOf(err error) Kind {
	if e, is := errors.AsType[*Error](err); is {
		return e.Kind
	}
	return KindUnavailable
}

// IsKind reports whether err is an error of that kind. It is false for nil.
func IsKind(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Decided reports whether the error is the provider's answer to the request. Where it is not, the
// outcome is unknown or the provider did not process the request: the machine or volume may exist
// or not, and the caller must ask again.
func Decided(err error) bool {
	switch KindOf(err) {
	case KindUnavailable, KindThrottled, KindCredentials:
		return false
	}
	return true
}

// Plain returns a cloud's text as it may be stored and shown: at most that many characters, in
// UTF-8, without control characters.
func Plain(s string, most int) string {
	out := make([]rune, 0, min(len(s), most))
	for _, c := range apierr.Visible(s) {
		if len(out) == most {
			break
		}
		out = append(out, c)
	}
	return string(out)
}
