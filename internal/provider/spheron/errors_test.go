package spheron

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		kind   provider.Kind // "" for the status's own
		wait   time.Duration
	}{
		{
			400,
			`{"error":"Minimum runtime not met","message":"…","canTerminate":false,"timeRemaining":12,` +
				`"minimumRuntime":20}`,
			provider.KindRejected, 12 * time.Minute,
		},
		{400, `{"error":"Minimum runtime not met","timeRemaining":"11.2"}`, provider.KindRejected, 12 * time.Minute},
		{400, `{"error":"Minimum runtime not met","timeRemaining":null}`, provider.KindRejected, time.Minute},
		{
			400, `{"error":"Cannot terminate instance","currentStatus":"terminated","canTerminate":false}`,
			provider.KindNotFound, 0,
		},
		{400, `{"error":"Cannot terminate instance","currentStatus":"terminated-provider"}`, provider.KindNotFound, 0},
		{400, `{"error":"Cannot terminate instance","currentStatus":"deploying","canTerminate":false}`, "", 0},
		{400, `{"error":"Team ID is required for authenticated deployments"}`, provider.KindCredentials, 0},
		{400, `{"error":{"message":"Team not found"}}`, provider.KindCredentials, 0},
		{400, `{"error":"Insufficient balance"}`, provider.KindQuota, 0},
		{400, `{"error_message":"Not enough credits"}`, provider.KindQuota, 0},
		{409, `{"message":"The offer is no longer available"}`, provider.KindNoCapacity, 0},
		{400, `{"error":"x","code":"INSUFFICIENT_CAPACITY"}`, provider.KindNoCapacity, 0},
		{
			429, `{"error":"Too many requests","code":"RATE_LIMIT_EXCEEDED","retryAfter":540}`, provider.KindThrottled,
			540 * time.Second,
		},
		{429, `{"retryAfter":-1}`, provider.KindThrottled, 0},
		{429, `{"retryAfter":{}}`, provider.KindThrottled, 0},
		{503, `{"error":"Service unavailable: no capacity"}`, "", 0},
		{401, `{"error":"no credit for you"}`, "", 0},
		{404, `{"error":"Deployment not available"}`, "", 0},
		{400, `{"error":"Validation failed","details":{"region":"is required"}}`, "", 0},
		{400, `<html>balance</html>`, "", 0},
		{400, `["balance"]`, "", 0},
		{400, ``, "", 0},
	} {
		e := explain(c.status, []byte(c.body))
		if e == nil {
			e = &provider.Error{}
		}
		if e.Kind != c.kind || e.RetryAfter != c.wait {
			t.Errorf("%d %s: %+v, want %q after %s", c.status, c.body, e, c.kind, c.wait)
		}
	}
}
