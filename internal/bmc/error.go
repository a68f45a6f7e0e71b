package bmc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
)

// Kind is what an error means for the caller.
type Kind string

// The kinds of errors.
const (
	// KindUnreachable: no answer, or the BMC is busy or starting. A change may have taken effect.
	// Retry; it says nothing about the server itself.
	KindUnreachable Kind = "unreachable"
	// KindUnauthorized: the BMC does not accept our password, or its certificate is not the one
	// that we trust. The operator must act.
	KindUnauthorized Kind = "unauthorized"
	// KindUnsupported: this BMC cannot do that at all.
	KindUnsupported Kind = "unsupported"
	// KindRejected: the BMC refused it, or accepted it without an effect.
	KindRejected Kind = "rejected"
)

// maxText is how many characters of a BMC's own text are kept.
const maxText = 500

// hiddenLength is how many characters of the end of an image's URL are recognized as it.
const hiddenLength = 8

// Error is the error of an operation.
type Error struct {
	Kind Kind
	// Message is for the operator, and contains no password.
	Message string
	// Cause may be nil.
	Cause error

	status int // of the answer; 0 where there was none
}

// Error returns kind, message and cause.
func (e *Error) Error() string {
	s := "bmc: " + string(e.Kind) + ": " + e.Message
	if e.Cause != nil {
		s += fmt.Sprintf(" (%v)", e.Cause)
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// KindOf returns the kind of the first *Error in err's chain; KindUnreachable where there is none,
// as then nothing is known. err must not be nil.
func KindOf(err error) Kind {
	if e, is := errors.AsType[*Error](err); is {
		return e.Kind
	}
	return KindUnreachable
}

func failure(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// answered reports whether the BMC itself answered the request with an error.
func answered(err error) bool {
	e, is := errors.AsType[*Error](err)
	return is && e.status != 0
}

// withStatus reports whether the BMC answered with one of the statuses.
func withStatus(err error, statuses ...int) bool {
	e, is := errors.AsType[*Error](err)
	if !is {
		return false
	}
	for _, s := range statuses {
		if e.status == s {
			return true
		}
	}
	return false
}

// refusal returns the error of an answer that is no success.
func (b *BMC) refusal(method, path string, status int, body []byte) *Error {
	kind := KindRejected
	switch status {
	case 401, 403:
		kind = KindUnauthorized
	case 404, 405, 410, 501:
		kind = KindUnsupported
	case 408, 425, 429, 502, 503, 504:
		kind = KindUnreachable
	}
	e := failure(kind, "%s %s: %d: %s", method, path, status, b.plain(explanation(body)))
	e.status = status
	return e
}

// explanation returns what a Redfish error says, or the body as it is.
func explanation(body []byte) string {
	type message struct {
		Message   string
		MessageID string `json:"MessageId"`
	}
	var v struct {
		Error struct {
			Message  string    `json:"message"`
			Extended []message `json:"@Message.ExtendedInfo"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &v) != nil {
		return string(body)
	}
	parts := []string{}
	for _, m := range v.Error.Extended {
		parts = append(parts, strings.TrimSpace(m.Message+" "+m.MessageID))
	}
	if len(parts) == 0 && v.Error.Message != "" {
		parts = append(parts, v.Error.Message)
	}
	if len(parts) == 0 {
		return string(body)
	}
	return strings.Join(parts, "; ")
}

// plain returns a BMC's text as it may be stored and shown.
func (b *BMC) plain(text string) string {
	// Passwords go before the text is cut, since a part is a leak, too, and again after characters
	// were removed between which one may have been.
	text = b.redact(strings.TrimSpace(apierr.Visible(b.redact(text))))
	out := []rune(text)
	return string(out[:min(len(out), maxText)])
}

func (b *BMC) redact(text string) string {
	for _, secret := range append([]string{b.password, b.token}, b.secrets...) {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "(password)")
		}
	}
	for _, end := range b.images {
		text = cutImage(text, end)
	}
	return text
}

// cutImage replaces the end of an image's URL, and what begins like it: a BMC may repeat a part.
func cutImage(text, end string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, end[:hiddenLength])
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString("(image)")
		n, rest := 0, end[hiddenLength:]
		for n < len(after) && n < len(rest) && after[n] == rest[n] {
			n++
		}
		text = after[n:]
	}
}
