package lambda

import (
	"encoding/json"
	"strings"

	"github.com/billetcloud/billet/internal/provider"
)

// kinds are the codes that mean what their status does not say, or that must not depend on it.
var kinds = map[string]provider.Kind{
	"global/invalid-api-key":                                 provider.KindCredentials,
	"global/account-inactive":                                provider.KindCredentials,
	"global/invalid-address":                                 provider.KindCredentials, // of the account's bills
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

// explain reads {"error": {"code", …}}. A broken server and too many requests are what their status says, whatever stands there.
func explain(status int, body []byte) *provider.Error {
	var said struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if status/100 != 4 || status == 429 || json.Unmarshal(body, &said) != nil {
		return nil
	}
	if strings.HasPrefix(said.Error.Code, "provider/") {
		return &provider.Error{Kind: provider.KindUnavailable}
	}
	if kind, known := kinds[said.Error.Code]; known {
		return &provider.Error{Kind: kind}
	}
	return nil
}
