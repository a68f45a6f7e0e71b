package event_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/event"
)

// docs/webhooks.md lists each type with the table's own words.
func TestDocumentationListsEveryType(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "webhooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range event.Kinds {
		if line := "| `" + string(k.Type) + "` | " + k.Text + " |"; !strings.Contains(string(text), line) {
			t.Errorf("docs/webhooks.md lacks the line %s", line)
		}
	}
	if n := len(regexp.MustCompile("(?m)^\\| `[a-z]+\\.[a-z_]+` \\|").FindAll(text, -1)); n != len(event.Kinds) {
		t.Errorf("docs/webhooks.md lists %d types, the table %d", n, len(event.Kinds))
	}
}

// What the sources append is in the table. Statuses, which are computed, are held to it where they
// are known.
func TestEveryTypeInTheSourcesIsKnown(t *testing.T) {
	forms := []struct {
		form   *regexp.Regexp
		prefix string
	}{
		{regexp.MustCompile(`\bappendEvent\(ctx, tx, &?\w+, "([a-z_]+)"`), ""},
		{regexp.MustCompile(`\bbillingEvent\("([a-z_]+)"`), ""},
		{regexp.MustCompile(`event, data := "([a-z_]+)"`), "deployment."},
		{regexp.MustCompile(`event, data\["reason"\] = "([a-z_]+)"`), "deployment."},
		{regexp.MustCompile(`"((?:account|webhook)\.[a-z_]+)"`), "="},
	}
	seen := map[string]bool{}
	for _, dir := range []string{"deployment", "volume", "pastdue", "meter", "webhook"} {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%v %v", files, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range forms {
				for _, found := range f.form.FindAllStringSubmatch(string(text), -1) {
					prefixes := []string{dir + "."}
					switch {
					case f.prefix == "=":
						prefixes = []string{""}
					case dir == "meter":
						prefixes = []string{"deployment.", "volume."}
					}
					for _, p := range prefixes {
						seen[p+found[1]] = true
						if problem := event.Mistyped(p+found[1], false); problem != "" {
							t.Errorf("%s: %s %s", name, p+found[1], problem)
						}
					}
				}
			}
		}
	}
	if len(seen) < 18 {
		t.Errorf("%d types were found in the sources: %v", len(seen), seen)
	}
}

func TestCheck_RefusesUnknownTypesAndData(t *testing.T) {
	for _, c := range []struct {
		kind string
		data map[string]any
		good bool
	}{
		{"account.recovered", map[string]any{"available": 1.5}, true},
		{"account.recovered", map[string]any{}, false},
		{"account.recovered", map[string]any{"available": 1.5, "more": 1}, false},
		{"account.recovered", map[string]any{"available": "x"}, false},
		{"account.recoverd", map[string]any{"available": 1.5}, false},
		{"volume.created", map[string]any{"name": "v", "status": "creating", "sizeGb": 5}, true},
	} {
		if err := event.Check(event.Event{Type: c.kind, Data: c.data}); (err == nil) != c.good {
			t.Errorf("%s %v: %v", c.kind, c.data, err)
		}
	}
	if said := event.Mistyped("deployment.runing", false); !strings.Contains(said, "Did you mean deployment.running?") {
		t.Error(said)
	}
	if said := event.Mistyped("deployment.*", false); said == "" {
		t.Error("a beginning is no type")
	}
}
