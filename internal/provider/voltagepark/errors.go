package voltagepark

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// The words that tell refusals apart, in this order: the cloud has no error codes.
var (
	quotaWords    = []string{"balance", "funds", "credit", "payment", "quota", "spending limit", "billing"}
	capacityWords = []string{
		"not enough", "no capacity", "insufficient", "sold out", "out of stock", "no available", "not available",
		"unavailable", "no stock",
	}
)

// explain reads the cloud's {"detail": …}, which is a text or, for 422, a list of what is wrong
// with the request.
func explain(status int, body []byte) *provider.Error {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusPaymentRequired:
	default:
		return nil // the status decides
	}
	text := strings.ToLower(detail(body))
	switch {
	case status == http.StatusPaymentRequired || upstream.ContainsAny(text, quotaWords):
		return &provider.Error{Kind: provider.KindQuota}
	case upstream.ContainsAny(text, capacityWords):
		return &provider.Error{Kind: provider.KindNoCapacity}
	}
	return nil
}

// detail returns the text of a refusal, or "". Of a list it returns every message.
func detail(body []byte) string {
	var refusal struct {
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &refusal) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(refusal.Detail, &text) == nil {
		return text
	}
	var list []struct {
		Message string `json:"msg"`
	}
	if json.Unmarshal(refusal.Detail, &list) != nil {
		return ""
	}
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = one.Message
	}
	return strings.Join(all, "; ")
}

// change sends a request whose response is not needed: nothing, null or some JSON. A detail is a
// refusal, even with a status of success.
func (a *Adapter) change(ctx context.Context, method, path string, body any) error {
	var response json.RawMessage
	err := a.client.Do(ctx, upstream.Request{Method: method, Path: path, Body: body, Into: &response})
	if err != nil {
		return err
	}
	text := detail(bytes.TrimSpace(response))
	if text == "" {
		return nil
	}
	e := &provider.Error{
		Kind: provider.KindRejected, Cause: fmt.Errorf("%s %s: a success with the detail %.200q", method, path, text),
	}
	if known := explain(http.StatusBadRequest, response); known != nil {
		e.Kind = known.Kind
	}
	return e
}
