package httpapi

import (
	"reflect"
	"strings"

	"github.com/billetcloud/billet/internal/event"
	"github.com/danielgtaylor/huma/v2"
)

// addEventTypes lists the types of events as the document's webhooks, each with its data: what a stream and lists have is the same, but for the timestamp.
func (s *server) addEventTypes() {
	registry := s.doc.Components.Schemas
	field := func(text string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: text} }
	instant := func(text string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeString, Format: "date-time", Description: text}
	}
	s.doc.Webhooks = map[string]*huma.PathItem{}
	for _, k := range event.Kinds {
		name := identifier(string(k.Type))
		registry.Map()[name+"Event"] = &huma.Schema{
			Type: huma.TypeObject, Description: k.Text, Required: []string{"type", "timestamp", "id", "subject", "data", "createdAt"},
			Properties: map[string]*huma.Schema{
				"type":      {Type: huma.TypeString, Enum: []any{string(k.Type)}, Description: "What happened."},
				"timestamp": instant("When it happened; the same as createdAt, by the name that Standard Webhooks has for it."),
				"id":        field("Id of the event, evt_…."),
				"subject":   field("Id of what it happened to."),
				"data":      registry.Schema(reflect.TypeOf(k.Data), true, ""),
				"createdAt": instant("When it happened."),
			},
		}
		header := func(name, text string) *huma.Param {
			return &huma.Param{Name: name, In: "header", Required: true, Description: text, Schema: &huma.Schema{Type: huma.TypeString}}
		}
		s.doc.Webhooks[string(k.Type)] = &huma.PathItem{Post: &huma.Operation{
			OperationID: "on" + name, Tags: []string{tagWebhooks}, Summary: string(k.Type), Description: k.Text,
			Security: []map[string][]string{},
			Parameters: []*huma.Param{
				header("webhook-id", "Id of the event: the same with every try."), header("webhook-timestamp", "When it was sent, in Unix seconds."),
				header("webhook-signature", "Signatures by the Standard Webhooks specification, with spaces between."),
			},
			RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: prefix + name + "Event"}}}},
			Responses: map[string]*huma.Response{
				"2XX": {Description: "It has arrived; it is not sent again."},
				"4XX": {Description: "It is sent again later; 410 disables the webhook."},
			},
		}}
	}
}

// identifier makes DeploymentAttemptFailed of deployment.attempt_failed.
func identifier(text string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == '.' || r == '_' }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
