package cloudinit_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/cloudinit"
	"go.yaml.in/yaml/v3"
)

// A cloud-config that is taken is one, and whatever is wrong with another is told in one sentence that speaks of YAML and not of Go.
func FuzzCloudInit(f *testing.F) {
	for _, s := range []string{
		"#cloud-config\npackages: [git]\n", "#cloud-config", "#cloud-config\n", "#cloud-config\r\na: 1\r\n", "#cloud-config-archive\n- a", "#cloud-configa: 1", "#!/bin/sh\n", "", "\ufeff#cloud-config\n",
		"#cloud-config\n- a", "#cloud-config\na", "#cloud-config\na: 1\na: 2", "#cloud-config\n1: a", "#cloud-config\n? [a]\n: b", "#cloud-config\na: b: c", "#cloud-config\n\ta: 1", "#cloud-config\na: \x01",
		"#cloud-config\na: \xff", "#cloud-config\na: *b", "#cloud-config\na: &a [*a]", "#cloud-config\n<<: 1", "#cloud-config\n<<: [a]", "#cloud-config\na: !!int x", "#cloud-config\na: !!binary x", "#cloud-config\n---\n---\n",
		"#cloud-config\n" + strings.Repeat("[", 11_000), "#cloud-config\n" + strings.Repeat("a: &a [*a,*a]\n", 20), "#cloud-config\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := cloudinit.Check(text)
		if m == "" {
			line, _, _ := strings.Cut(text, "\n")
			var content map[string]any
			if strings.TrimRight(line, " \t\r") != "#cloud-config" || strings.ContainsRune(text, 0) || len(text) > cloudinit.MaxBytes || yaml.Unmarshal([]byte(text), &content) != nil {
				t.Errorf("%q is taken", text)
			}
			return
		}
		if !strings.HasSuffix(m, ".") || !utf8.ValidString(m) || strings.ContainsFunc(m, unicode.IsControl) {
			t.Errorf("%q: %q", text, m)
		}
		for _, inner := range []string{"interface", "map[", "unmarshal", "yaml:", "string]", "Go", "runtime", "%!"} {
			if strings.Contains(m, inner) && !strings.Contains(text, inner) {
				t.Errorf("%q: %q", text, m)
			}
		}
	})
}
