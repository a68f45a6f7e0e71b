package shadeform

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// quotaWords appear in the text of a refusal where the account is at a limit or out of money.
var quotaWords = []string{
	"quota", "limit reached", "limit exceeded", "exceeded the limit", "spend limit", "insufficient funds",
	"insufficient balance", "insufficient credit", "payment",
}

// explain reads {error_code, error}, which comes with 409 for nearly everything, or the plain text
// of other statuses.
func explain(status int, body []byte) *provider.Error {
	switch status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusTooEarly,
		http.StatusTooManyRequests:
		return nil
	}
	if status/100 != 4 {
		return nil
	}
	var refusal struct {
		Code string `json:"error_code"`
		Text string `json:"error"`
	}
	if json.Unmarshal(body, &refusal) != nil {
		refusal.Text = string(body)
	}
	text := strings.ToLower(refusal.Text + " " + strings.ReplaceAll(refusal.Code, "_", " "))
	switch {
	case strings.Contains(text, "out of stock"):
		return &provider.Error{Kind: provider.KindNoCapacity}
	case upstream.ContainsAny(text, quotaWords):
		return &provider.Error{Kind: provider.KindQuota}
	}
	return nil
}
