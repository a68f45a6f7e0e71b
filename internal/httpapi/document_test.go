package httpapi

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/volume"
)

// reached are the names of schemas that a part of the document refers to.
type reached map[string]bool

// add adds the schemas that v refers to, and those that these refer to.
func (names reached) add(schemas map[string]map[string]any, v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			names.add(schemas, item)
		}
	case map[string]any:
		if ref, is := v["$ref"].(string); is {
			if name, is := strings.CutPrefix(ref, schemaPrefix); is && !names[name] {
				names[name] = true
				names.add(schemas, map[string]any(schemas[name]))
			}
		}
		for _, item := range v {
			names.add(schemas, item)
		}
	}
}

// A client that exists must go on working when an answer gets a field, and a request with a slip
// must be refused.
func TestRequestsAreClosedAndAnswersAreOpen(t *testing.T) {
	paths, schemas := documented(t)
	sent, answered := reached{}, reached{}
	for path, item := range paths {
		for method, op := range item {
			if op.RequestBody != nil {
				sent.add(schemas, op.RequestBody.Content["application/json"].Schema)
			}
			for status, r := range op.Responses {
				answered.add(schemas, r)
				content, _ := r.(map[string]any)["content"].(map[string]any)
				media, _ := content["application/json"].(map[string]any)
				if schema, has := media["schema"].(map[string]any); has && schema["$ref"] == nil {
					t.Errorf("%s %s: the envelope of %s has no name", method, path, status)
				}
			}
		}
	}
	answered.add(schemas, components(t)["responses"])
	if len(sent) < 30 || len(answered) < 100 {
		t.Fatalf("%d schemas are sent and %d answered", len(sent), len(answered))
	}
	for name, schema := range schemas {
		if schema["type"] != "object" {
			continue
		}
		closed := schema["additionalProperties"] == false
		switch {
		case sent[name] && answered[name]:
			t.Errorf("%s is sent and answered: it cannot be both closed and open", name)
		case sent[name] && !closed:
			t.Errorf("%s is sent, and does not say that it takes nothing else", name)
		case answered[name] && closed:
			t.Errorf("%s is answered, and says that it will never have another field", name)
		}
	}
	if !strings.Contains(introductionText, "ignore what you do not know") {
		t.Error("the document does not say what clients have to let pass")
	}
}

// Generators make identifiers of names, most of them whatever their case and without _ and -.
func TestNoTwoNamesOfTheDocumentBecomeOneIdentifier(t *testing.T) {
	all := components(t)
	folded := func(name string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "").Replace(name))
	}
	once := func(where string, names ...string) {
		t.Helper()
		seen := map[string]string{}
		for _, name := range names {
			if other, twice := seen[folded(name)]; twice {
				t.Errorf("%s: %s and %s", where, other, name)
			}
			seen[folded(name)] = name
		}
	}
	var types []string
	for _, kind := range []string{"schemas", "responses", "securitySchemes", "parameters", "requestBodies"} {
		types = slices.AppendSeq(types, maps.Keys(all[kind]))
	}
	once("components", types...)
	_, schemas := documented(t)
	for name, schema := range schemas {
		properties, _ := schema["properties"].(map[string]any)
		once(name, slices.Collect(maps.Keys(properties))...)
	}
	paths, _ := documented(t)
	var ids []string
	for _, item := range paths {
		for _, op := range item {
			ids = append(ids, op.OperationID)
			names := map[string][]string{}
			for _, p := range op.Parameters {
				names[p.In] = append(names[p.In], p.Name)
			}
			for _, list := range names {
				once(op.OperationID, list...)
			}
		}
	}
	once("operations", ids...)
}

// The document lists each event type as a webhook, with the data that the table of events gives it,
// and every status that has an event.
func TestTheDocumentListsEveryEventType(t *testing.T) {
	var d struct {
		Webhooks map[string]struct{ Post operation }
	}
	if err := json.Unmarshal(Document("test"), &d); err != nil {
		t.Fatal(err)
	}
	_, schemas := documented(t)
	for _, k := range event.Kinds {
		op := d.Webhooks[string(k.Type)].Post
		if op.RequestBody == nil {
			t.Errorf("%s is not in the document", k.Type)
			continue
		}
		ref, _ := op.RequestBody.Content["application/json"].Schema["$ref"].(string)
		properties, _ := schemas[strings.TrimPrefix(ref, schemaPrefix)]["properties"].(map[string]any)
		data, _ := properties["data"].(map[string]any)
		if got, _ := data["$ref"].(string); got != schemaPrefix+reflect.TypeOf(k.Data).Name() {
			t.Errorf("%s has data %v", k.Type, data)
		}
	}
	if len(d.Webhooks) != len(event.Kinds) {
		t.Errorf("%d webhooks, and %d types of events", len(d.Webhooks), len(event.Kinds))
	}
	for kind, of := range map[string]reflect.Type{"deployment": reflect.TypeFor[deployment.Status](),
		"volume": reflect.TypeFor[volume.Status]()} {
		for _, status := range rest.Enum(of) {
			if status == "pending" || status == "creating" { // which is called created
				continue
			}
			if problem := event.Mistyped(kind+"."+status.(string), false); problem != "" {
				t.Errorf("%s.%s %s", kind, status, problem)
			}
		}
	}
}

func components(t *testing.T) map[string]map[string]any {
	t.Helper()
	var d struct{ Components map[string]map[string]any }
	if err := json.Unmarshal(Document("test"), &d); err != nil {
		t.Fatal(err)
	}
	return d.Components
}
