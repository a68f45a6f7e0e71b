package ironic

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// lockedPause is how long to wait for a node that Ironic is working on.
const lockedPause = time.Second

// explain gives a refusal its kind. A conflict is a lock, or a name that is taken: the state must
// be read again.
func explain(status int, body []byte) *provider.Error {
	switch status {
	case http.StatusConflict, http.StatusServiceUnavailable:
		return &provider.Error{Kind: provider.KindUnavailable, RetryAfter: lockedPause}
	case http.StatusNotAcceptable:
		return &provider.Error{
			Kind:  provider.KindUnsupported,
			Cause: errors.New("Ironic is too old; API version " + version + " is required"),
		}
	case http.StatusBadRequest:
		if strings.Contains(faultOf(body), "in maintenance mode") { // since it was allocated
			return &provider.Error{Kind: provider.KindNoCapacity}
		}
	}
	return nil
}

// faultOf returns the text of an error, which is JSON in a string of JSON.
func faultOf(body []byte) string {
	var outer struct {
		Message json.RawMessage `json:"error_message"`
	}
	var inner struct {
		Fault string `json:"faultstring"`
	}
	if json.Unmarshal(body, &outer) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(outer.Message, &text) != nil {
		text = string(outer.Message)
	}
	if json.Unmarshal([]byte(text), &inner) != nil {
		return text
	}
	return inner.Fault
}

func errUnknownSystem() error {
	return upstream.Rejected("This offer does not have that operating system. Choose one that it lists.")
}

// noCapacity are the reasons of failed allocations that mean that other launches were faster.
var noCapacity = []string{
	"none of the requested nodes are available", "no available nodes match", "no suitable nodes",
	"could not reserve any of", "all nodes were filtered out",
}
