package voltagepark

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// The words by which a refusal is told from another, for the cloud has no codes. They are looked for in this order.
var (
	poorWords = []string{"balance", "funds", "credit", "payment", "quota", "spending limit", "billing"}
	soldWords = []string{"not enough", "no capacity", "insufficient", "sold out", "out of stock", "no available", "not available", "unavailable", "no stock"}
)

// explain reads the cloud's {"detail": …}, which is a text or, for 422, a list of what is wrong with our request.
func explain(status int, body []byte) *provider.Error {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusPaymentRequired:
	default:
		return nil // the status says it
	}
	said := strings.ToLower(detail(body))
	has := func(words []string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	switch {
	case status == http.StatusPaymentRequired || has(poorWords):
		return &provider.Error{Kind: provider.KindQuota}
	case has(soldWords):
		return &provider.Error{Kind: provider.KindNoCapacity}
	}
	return nil
}

// detail is the text of a refusal, "" for none. Of a list it is every message.
func detail(body []byte) string {
	var answer struct {
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(answer.Detail, &text) == nil {
		return text
	}
	var list []struct {
		Message string `json:"msg"`
	}
	if json.Unmarshal(answer.Detail, &list) != nil {
		return ""
	}
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = one.Message
	}
	return strings.Join(all, "; ")
}

// change asks for something whose success has no answer worth reading: nothing, null or some JSON. A detail with a status of success is a refusal all the same.
func (a *Adapter) change(ctx context.Context, method, path string, body any) error {
	var answer json.RawMessage
	err := a.client.Do(ctx, upstream.Request{Method: method, Path: path, Body: body, Into: &answer})
	if err != nil {
		return err
	}
	if said := detail(bytes.TrimSpace(answer)); said != "" {
		e := &provider.Error{Kind: provider.KindRejected, Cause: fmt.Errorf("%s %s: a success with the detail %.200q", method, path, said)}
		if known := explain(http.StatusBadRequest, answer); known != nil {
			e.Kind = known.Kind
		}
		return e
	}
	return nil
}

func notFound(format string, args ...any) error {
	return &provider.Error{Kind: provider.KindNotFound, Cause: fmt.Errorf(format, args...)}
}

// unclear is for what nobody knows yet.
func unclear(format string, args ...any) error {
	return &provider.Error{Kind: provider.KindUnavailable, Cause: fmt.Errorf(format, args...)}
}

// refuse is a refusal of our own, with its reason for the tenant.
func refuse(message string) error {
	return &provider.Error{Kind: provider.KindRejected, Message: message, Cause: errors.New("refused before it was sent")}
}

func is(err error, kind provider.Kind) bool { return err != nil && provider.KindOf(err) == kind }
