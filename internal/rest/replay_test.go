package rest

import (
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
)

func TestFinal(t *testing.T) {
	for code, want := range map[apierr.Code]bool{
		apierr.InsufficientBalance: true, apierr.NotFound: true, apierr.Conflict: true, apierr.OfferUnavailable: true,
		apierr.IdempotencyKeyReused: false, apierr.InvalidRequest: false, apierr.InvalidAPIKey: false,
		apierr.InsufficientScope: false,
		apierr.RateLimitExceeded: false, apierr.Internal: false, apierr.ServiceUnavailable: false,
	} {
		if final(&apierr.Error{Code: code}) != want {
			t.Errorf("%s is final: %t", code, !want)
		}
	}
}
