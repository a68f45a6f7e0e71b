package httpapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// A client that exists must go on working when an answer gets a field, and a request with a slip must be refused.
func TestRequestsAreClosedAndAnswersAreOpen(t *testing.T) {
	paths, schemas := documented(t)
	sent, answered := map[string]bool{}, map[string]bool{}
	var reach func(v any, names map[string]bool)
	reach = func(v any, names map[string]bool) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				reach(item, names)
			}
		case map[string]any:
			if ref, is := v["$ref"].(string); is {
				if name, is := strings.CutPrefix(ref, prefix); is && !names[name] {
					names[name] = true
					reach(map[string]any(schemas[name]), names)
				}
			}
			for _, item := range v {
				reach(item, names)
			}
		}
	}
	for path, item := range paths {
		for method, op := range item {
			if op.RequestBody != nil {
				reach(op.RequestBody.Content["application/json"].Schema, sent)
			}
			for status, r := range op.Responses {
				reach(r, answered)
				content, _ := r.(map[string]any)["content"].(map[string]any)
				media, _ := content["application/json"].(map[string]any)
				if schema, has := media["schema"].(map[string]any); has && schema["$ref"] == nil {
					t.Errorf("%s %s: the envelope of %s has no name", method, path, status)
				}
			}
		}
	}
	reach(components(t)["responses"], answered)
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

func components(t *testing.T) map[string]map[string]any {
	t.Helper()
	var d struct{ Components map[string]map[string]any }
	if err := json.Unmarshal(Document("test"), &d); err != nil {
		t.Fatal(err)
	}
	return d.Components
}
