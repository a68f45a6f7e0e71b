package httpapi

import (
	"reflect"
	"strings"

	"github.com/billetcloud/billet/internal/event"
	"github.com/danielgtaylor/huma/v2"
)

// addEventTypes lists the event types as the document's webhooks, each with its data. Streams and
// lists have the same events, without the timestamp.
func addEventTypes(doc *huma.OpenAPI) {
	registry := doc.Components.Schemas
	field := func(text string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: text} }
	instant := func(text string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeString, Format: "date-time", Description: text}
	}
	doc.Webhooks = map[string]*huma.PathItem{}
	for _, k := range event.Kinds {
		name := identifier(string(k.Type))
		registry.Map()[name+"Event"] = &huma.Schema{
			Type: huma.TypeObject, Description: k.Text,
			Required: []string{"type", "timestamp", "id", "subject", "data", "createdAt"},
			Properties: map[string]*huma.Schema{
				"type": {Type: huma.TypeString, Enum: []any{string(k.Type)}, Description: "Type of the event."},
				"timestamp": instant(
					"When it happened; the same as createdAt, under the name that Standard Webhooks requires.",
				),
				"id":        field("Id of the event, evt_…."),
				"subject":   field("Id of the resource."),
				"data":      registry.Schema(reflect.TypeOf(k.Data), true, ""),
				"createdAt": instant("When it happened."),
			},
		}
		header := func(name, text string) *huma.Param {
			return &huma.Param{
				Name:        name,
				In:          "header",
				Required:    true,
				Description: text,
				Schema:      &huma.Schema{Type: huma.TypeString},
			}
		}
		doc.Webhooks[string(k.Type)] = &huma.PathItem{Post: &huma.Operation{
			OperationID: "on" + name, Tags: []string{tagWebhooks}, Summary: string(k.Type), Description: k.Text,
			Security: []map[string][]string{},
			Parameters: []*huma.Param{
				header("webhook-id", "Id of the event: the same for every attempt."),
				header("webhook-timestamp", "When it was sent, in Unix seconds."),
				header("webhook-signature", "Signatures as in Standard Webhooks, separated by spaces."),
			},
			RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
				"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/" + name + "Event"}},
			}},
			Responses: map[string]*huma.Response{
				"2XX": {Description: "Received; it is not sent again."},
				"4XX": {Description: "It is retried later; 410 disables the webhook."},
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
