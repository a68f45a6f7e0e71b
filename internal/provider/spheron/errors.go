package spheron

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// endedStatuses are those of a machine that has ended and costs nothing.
var endedStatuses = []string{statusFailed, statusTerminated, statusReclaimed}

// capacityWords appear in refusals where the cloud has no capacity left.
var capacityWords = []string{
	"no longer available", "not available", "unavailable", "out of stock", "sold out", "capacity",
}

// explain reads the body of a refusal. Bodies differ from path to path, so each field is parsed on
// its own.
func explain(status int, body []byte) *provider.Error {
	var refusal map[string]json.RawMessage
	if json.Unmarshal(body, &refusal) != nil {
		return nil
	}
	var text string
	for _, field := range []string{"error", "message", "error_message", "code"} {
		text += strings.ToLower(messageOf(refusal[field])) + "\n"
	}
	switch {
	case status == http.StatusTooManyRequests:
		return &provider.Error{Kind: provider.KindThrottled, RetryAfter: pause(refusal["retryAfter"], time.Second)}
	case status/100 != 4, status == http.StatusUnauthorized, status == http.StatusForbidden,
		status == http.StatusNotFound:
		return nil
	case slices.Contains(endedStatuses, strings.ToLower(messageOf(refusal["currentStatus"]))):
		return &provider.Error{Kind: provider.KindNotFound}
	case strings.Contains(text, "minimum runtime"):
		return &provider.Error{
			Kind: provider.KindRejected, Message: "This machine cannot be terminated before its minimum runtime.",
			RetryAfter: max(pause(refusal["timeRemaining"], time.Minute), time.Minute),
		}
	case upstream.ContainsAny(text, []string{"team id", "team not found"}):
		return &provider.Error{Kind: provider.KindCredentials}
	case upstream.ContainsAny(text, []string{"balance", "credit"}):
		return &provider.Error{Kind: provider.KindQuota}
	case upstream.ContainsAny(text, capacityWords):
		return &provider.Error{Kind: provider.KindNoCapacity}
	}
	return nil
}

// messageOf returns a text, or the message of an object; "" for anything else.
func messageOf(b json.RawMessage) string {
	var text string
	if json.Unmarshal(b, &text) == nil {
		return text
	}
	var in struct{ Message string }
	_ = json.Unmarshal(b, &in) // in.Message stays ""
	return in.Message
}

// pause parses a number of units, rounded up to whole ones; 0 for anything else.
func pause(b json.RawMessage, unit time.Duration) time.Duration {
	n, err := strconv.ParseFloat(string(bytes.Trim(bytes.TrimSpace(b), `"`)), 64)
	if err != nil || math.IsNaN(n) || n <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(min(n, 1e6))) * unit
}
