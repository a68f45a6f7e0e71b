package latitude

import (
	"encoding/json"
	"net/http"
	"regexp"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

var (
	ofStock = regexp.MustCompile(`(?i)\bstock\b|out_of_stock|sold[ _-]?out|capacity`)
	ofLimit = regexp.MustCompile(`(?i)\blimit|quota`)
	ofLock  = regexp.MustCompile(`(?i)\block(ed)?\b|server_locked`)
)

// complaint is one error of an answer.
type complaint struct {
	Code, Title, Detail string
	Meta                pause
}

// pause is for how long the cloud wants no requests, in seconds.
type pause struct {
	RetryAfter whole `json:"retry_after"`
}

// explain reads the errors of an answer. Where it cannot, the status decides.
func explain(status int, body []byte) *provider.Error {
	var said struct {
		Errors []json.RawMessage
		Meta   pause
	}
	if json.Unmarshal(body, &said) != nil {
		return nil
	}
	text, wait := "", said.Meta.RetryAfter
	for _, raw := range said.Errors {
		var c complaint
		if json.Unmarshal(raw, &c) != nil {
			continue
		}
		text += c.Code + " " + c.Title + " " + c.Detail + "\n"
		wait = max(wait, c.Meta.RetryAfter)
	}
	e := &provider.Error{RetryAfter: time.Duration(wait) * time.Second}
	switch {
	case status == http.StatusTooManyRequests:
		e.Kind = provider.KindThrottled
	case (status == http.StatusForbidden || status == http.StatusConflict || status == http.StatusUnprocessableEntity || status == http.StatusLocked) && ofLock.MatchString(text):
		e.Kind, e.Message = provider.KindRejected, "The provider keeps this machine locked."
	case status != http.StatusConflict && status != http.StatusUnprocessableEntity:
	case ofStock.MatchString(text):
		e.Kind = provider.KindNoCapacity
	case ofLimit.MatchString(text):
		e.Kind = provider.KindQuota
	}
	return e
}
