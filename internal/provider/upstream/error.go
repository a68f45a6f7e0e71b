package upstream

import (
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/provider"
)

// ListError returns the error of reading machines, offers or keys as a whole. Whatever the cloud
// refuses then says nothing about a single one of them, so it becomes KindUnavailable.
func ListError(err error) error {
	if err == nil || !provider.Decided(err) {
		return err
	}
	return &provider.Error{Kind: provider.KindUnavailable, Cause: err}
}

// Malformed returns the error of a response that lacks what it must have. The reason may be nil.
func Malformed(what string, reason error) error {
	if reason == nil {
		reason = errors.New("a required part is missing")
	}
	return Unavailable("the cloud's response does not contain %s: %w", what, reason)
}

// Unavailable returns a KindUnavailable error: the outcome is unknown.
func Unavailable(format string, args ...any) error {
	return &provider.Error{Kind: provider.KindUnavailable, Cause: fmt.Errorf(format, args...)}
}

// NotFound returns a KindNotFound error.
func NotFound(format string, args ...any) error {
	return &provider.Error{Kind: provider.KindNotFound, Cause: fmt.Errorf(format, args...)}
}

// Rejected returns the error of a request that is refused before it is sent. The tenant reads the
// message.
func Rejected(message string) error {
	return &provider.Error{Kind: provider.KindRejected, Message: message}
}

// IgnoreNotFound returns nil for KindNotFound, and any other error as it is. It is for requests
// to remove something.
func IgnoreNotFound(err error) error {
	if provider.IsKind(err, provider.KindNotFound) {
		return nil
	}
	return err
}
