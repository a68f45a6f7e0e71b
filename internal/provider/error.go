package provider

import (
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
)

// Kind says what an error means for whoever asked.
type Kind string

// The kinds of errors.
const (
	// KindNoCapacity: the offer is sold out. Nothing was made.
	KindNoCapacity Kind = "no_capacity"
	// KindNotFound: there is no such machine, volume or offer.
	KindNotFound Kind = "not_found"
	// KindRejected: the provider understood and refused; asking again the same way is refused again. Nothing was made.
	KindRejected Kind = "rejected"
	// KindUnsupported: this provider or offer cannot do that at all.
	KindUnsupported Kind = "unsupported"
	// KindThrottled: we ask more often than the provider allows. Nothing was made; ask again after RetryAfter.
	KindThrottled Kind = "throttled"
	// KindCredentials: the provider does not take our key, or not for this. Nothing was made; the operator must act.
	KindCredentials Kind = "credentials"
	// KindQuota: our account at the provider is at a limit, or out of money. Nothing was made; the operator must act.
	KindQuota Kind = "quota"
	// KindUnavailable: no answer, or none that can be understood. What was asked for may have happened: look, then ask again.
	KindUnavailable Kind = "unavailable"
)

// Error is what a provider answers when it cannot do what it was asked.
type Error struct {
	Kind Kind
	// Message is for the tenant to read; "" where nothing of use can be said.
	Message string
	// RetryAfter is how long the provider asked us to wait, or 0.
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

// KindOf returns the kind of the first *Error in err's chain; KindUnavailable where
// there is none, since an error that nobody understands leaves the outcome unknown. It must not be called with nil.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindUnavailable
}

// Decided tells whether the error is the provider's answer to what was asked. Where it is not, nobody knows yet, or the provider did not
// get as far: the machine or volume that was asked about may be there or not, and who asked asks again.
func Decided(err error) bool {
	switch KindOf(err) {
	case KindUnavailable, KindThrottled, KindCredentials:
		return false
	}
	return true
}

// Plain is a text of a cloud's as it may be kept and shown: at most so many characters, in UTF-8, without control characters.
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
