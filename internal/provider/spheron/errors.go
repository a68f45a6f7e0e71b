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
)

// over are the statuses of a machine that is no more and costs nothing.
var over = []string{statusFailed, statusTerminated, statusReclaimed}

// soldOut are words by which the cloud says that it has none left.
var soldOut = []string{"no longer available", "not available", "unavailable", "out of stock", "sold out", "capacity"}

// explain reads what the cloud says with a refusal. The bodies differ from call to call, so each field is read on its own.
func explain(status int, body []byte) *provider.Error {
	var said map[string]json.RawMessage
	if json.Unmarshal(body, &said) != nil {
		return nil
	}
	text := strings.ToLower(strings.Join([]string{words(said["error"]), words(said["message"]), words(said["error_message"]), words(said["code"])}, "\n"))
	switch {
	case status == http.StatusTooManyRequests:
		return &provider.Error{Kind: provider.KindThrottled, RetryAfter: pause(said["retryAfter"], time.Second)}
	case status/100 != 4, status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return nil
	case slices.Contains(over, strings.ToLower(words(said["currentStatus"]))):
		return &provider.Error{Kind: provider.KindNotFound}
	case strings.Contains(text, "minimum runtime"):
		return &provider.Error{
			Kind: provider.KindRejected, Message: "The provider ends no machine before its minimum runtime.",
			RetryAfter: max(pause(said["timeRemaining"], time.Minute), time.Minute),
		}
	case strings.Contains(text, "team id"), strings.Contains(text, "team not found"):
		return &provider.Error{Kind: provider.KindCredentials}
	case strings.Contains(text, "balance"), strings.Contains(text, "credit"):
		return &provider.Error{Kind: provider.KindQuota}
	case slices.ContainsFunc(soldOut, func(w string) bool { return strings.Contains(text, w) }):
		return &provider.Error{Kind: provider.KindNoCapacity}
	}
	return nil
}

// words is a text, or the message of an object; "" for anything else.
func words(b json.RawMessage) string {
	var text string
	if json.Unmarshal(b, &text) == nil {
		return text
	}
	var in struct{ Message string }
	_ = json.Unmarshal(b, &in) // in.Message stays ""
	return in.Message
}

// pause is a number of units, rounded up to whole ones; 0 for anything else.
func pause(b json.RawMessage, unit time.Duration) time.Duration {
	n, err := strconv.ParseFloat(string(bytes.Trim(bytes.TrimSpace(b), `"`)), 64)
	if err != nil || math.IsNaN(n) || n <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(min(n, 1e6))) * unit
}
