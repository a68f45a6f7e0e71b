package apierr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
)

func TestInvalidListsEveryError(t *testing.T) {
	t.Parallel()
	if err := apierr.Invalid(nil).OrNil(); err != nil {
		t.Fatalf("no fields gave %v", err)
	}
	err := apierr.Invalid([]apierr.FieldError{{"name", "is too long."}, {"region", "is unknown."}})
	if err.Code != apierr.InvalidRequest || len(err.Fields()) != 2 || !strings.Contains(err.Message, "2 faults") {
		t.Fatalf("%+v", err)
	}
}

func TestCodeOfUnwraps(t *testing.T) {
	t.Parallel()
	inner := apierr.New(apierr.NotFound, "No such deployment.")
	if got := apierr.CodeOf(fmt.Errorf("get: %w", inner)); got != apierr.NotFound {
		t.Errorf("code %s", got)
	}
	if got := apierr.CodeOf(errors.New("boom")); got != apierr.Internal {
		t.Errorf("code %s", got)
	}
	cause := errors.New("disk full")
	if e := (&apierr.Error{Code: apierr.Internal, Cause: cause}); !errors.Is(e, cause) {
		t.Error("the cause is lost")
	}
}
