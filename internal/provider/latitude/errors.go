package latitude

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

var (
	ofStock = regexp.MustCompile(`(?i)\bstock\b|out_of_stock|sold[ _-]?out|capacity`)
	ofLimit = regexp.MustCompile(`(?i)\blimit|quota`)
	ofLock  = regexp.MustCompile(`(?i)\block(ed)?\b|server_locked`)

	lockStatuses = []int{
		http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusLocked,
	}
)

// apiError is one error of a response.
type apiError struct {
	Code, Title, Detail string
	Meta                pause
}

// pause is how long the cloud accepts no requests, in seconds.
type pause struct {
	RetryAfter whole `json:"retry_after"`
}

// explain reads the errors of a response. Where it cannot, the status decides.
func explain(status int, body []byte) *provider.Error {
	var response struct {
		Errors []json.RawMessage
		Meta   pause
	}
	if json.Unmarshal(body, &response) != nil {
		return nil
	}
	text, wait := "", response.Meta.RetryAfter
	for _, raw := range response.Errors {
		var e apiError
		if json.Unmarshal(raw, &e) != nil {
			continue
		}
		text += e.Code + " " + e.Title + " " + e.Detail + "\n"
		wait = max(wait, e.Meta.RetryAfter)
	}
	e := &provider.Error{RetryAfter: time.Duration(wait) * time.Second}
	switch {
	case status == http.StatusTooManyRequests:
		e.Kind = provider.KindThrottled
	case slices.Contains(lockStatuses, status) && ofLock.MatchString(text):
		e.Kind, e.Message = provider.KindRejected, "This machine is locked at the provider."
	case status != http.StatusConflict && status != http.StatusUnprocessableEntity:
	case ofStock.MatchString(text):
		e.Kind = provider.KindNoCapacity
	case ofLimit.MatchString(text):
		e.Kind = provider.KindQuota
	}
	return e
}
