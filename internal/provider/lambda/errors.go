package lambda

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/billetcloud/billet/internal/provider"
)

// kinds are the codes whose kind must not depend on the status.
var kinds = map[string]provider.Kind{
	"global/invalid-api-key":                                 provider.KindCredentials,
	"global/account-inactive":                                provider.KindCredentials,
	"global/invalid-address":                                 provider.KindCredentials, // the billing address
	"global/forbidden":                                       provider.KindCredentials,
	"global/invalid-parameters":                              provider.KindRejected,
	"global/quota-exceeded":                                  provider.KindQuota,
	"global/duplicate":                                       provider.KindRejected,
	"global/object-does-not-exist":                           provider.KindNotFound,
	"global/not-found":                                       provider.KindNotFound,
	"global/conflict":                                        provider.KindRejected,
	"global/internal-error":                                  provider.KindUnavailable,
	"instance-operations/launch/insufficient-capacity":       provider.KindNoCapacity,
	"instance-operations/launch/file-system-in-wrong-region": provider.KindRejected,
}

// explain reads {"error": {"code", …}}. For 429 and for server errors the status decides, whatever
// the code.
func explain(status int, body []byte) *provider.Error {
	var refusal struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if status/100 != 4 || status == http.StatusTooManyRequests || json.Unmarshal(body, &refusal) != nil {
		return nil
	}
	if strings.HasPrefix(refusal.Error.Code, "provider/") {
		return &provider.Error{Kind: provider.KindUnavailable}
	}
	if kind, known := kinds[refusal.Error.Code]; known {
		return &provider.Error{Kind: kind}
	}
	return nil
}
