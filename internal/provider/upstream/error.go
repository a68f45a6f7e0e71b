package upstream

import (
	"errors"

	"github.com/billetcloud/billet/internal/provider"
)

// Looking is the error of a question about machines, offers or keys as a whole: whatever the cloud refuses, it says nothing of any of them.
func Looking(err error) error {
	var e *provider.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case provider.KindUnavailable, provider.KindThrottled, provider.KindCredentials:
		return err
	}
	return &provider.Error{Kind: provider.KindUnavailable, Cause: err}
}

// Garbage is the error of an answer that does not hold what it must; err, which may be nil, is why.
func Garbage(what string, err error) error {
	if err == nil {
		err = errors.New("a part that must be there is missing")
	}
	return unavailable(errors.Join(errors.New("the cloud's answer does not hold "+what), err))
}

func unavailable(err error) *provider.Error {
	return &provider.Error{Kind: provider.KindUnavailable, Cause: err}
}
