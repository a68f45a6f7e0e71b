package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/fault"
)

func TestInvalidNamesEveryFault(t *testing.T) {
	if err := fault.Invalid(nil).OrNil(); err != nil {
		t.Fatalf("no fields gave %v", err)
	}
	err := fault.Invalid([]fault.Field{{"name", "is too long."}, {"region", "is unknown."}})
	if err.Code != fault.InvalidRequest || len(err.Fields()) != 2 || !strings.Contains(err.Message, "2 faults") {
		t.Fatalf("%+v", err)
	}
}

func TestCodeOfLooksThroughWrapping(t *testing.T) {
	inner := fault.New(fault.NotFound, "No such deployment.")
	if got := fault.CodeOf(fmt.Errorf("get: %w", inner)); got != fault.NotFound {
		t.Errorf("code %s", got)
	}
	if got := fault.CodeOf(errors.New("boom")); got != fault.Internal {
		t.Errorf("code %s", got)
	}
	cause := errors.New("disk full")
	if e := (&fault.Error{Code: fault.Internal, Cause: cause}); !errors.Is(e, cause) {
		t.Error("the cause is lost")
	}
}
