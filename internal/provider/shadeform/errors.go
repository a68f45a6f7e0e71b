package shadeform

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/billetcloud/billet/internal/provider"
)

// quotaWords are what the free text of a refusal holds where the account is at a limit, or out of money.
var quotaWords = []string{"quota", "limit reached", "limit exceeded", "exceeded the limit", "spend limit", "insufficient funds", "insufficient balance", "insufficient credit", "payment"}

// explain reads {error_code, error}, which comes with 409 for nearly everything, or the plain text of another status.
func explain(status int, body []byte) *provider.Error {
	switch {
	case status/100 != 4, status == http.StatusUnauthorized, status == http.StatusNotFound, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return nil
	}
	var said struct {
		Code string `json:"error_code"`
		Text string `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil {
		said.Text = string(body)
	}
	text := strings.ToLower(said.Text)
	if strings.EqualFold(said.Code, "OUT_OF_STOCK") || strings.Contains(text, "out of stock") {
		return &provider.Error{Kind: provider.KindNoCapacity}
	}
	text += " " + strings.ToLower(strings.ReplaceAll(said.Code, "_", " "))
	for _, w := range quotaWords {
		if strings.Contains(text, w) {
			return &provider.Error{Kind: provider.KindQuota}
		}
	}
	return nil
}
